#!/bin/sh
set -eu
git diff --name-only "${1:-HEAD}"
