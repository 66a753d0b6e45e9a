"""The science of ASCL: rules, data, conversation, judges, training and evaluation.

Every stage is a plain function from files to files. Nothing here knows Prefect or DVC.
"""
