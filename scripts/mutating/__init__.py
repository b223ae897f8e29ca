"""Mutation check: does a test fail when the gossip is wrong in one small place?"""
