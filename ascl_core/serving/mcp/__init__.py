"""The rules as an MCP server: the tool `consult_safety_rules`, over stdio or streamable HTTP."""
