#!/usr/bin/env bash
# ends_with.sh CODE SECONDS REGEX COMMAND ...: the command must end with that exit code, in that time, and print a line that matches.
set -uo pipefail
code=$1 seconds=$2 regex=$3
shift 3
begin=$(date +%s.%N)
output=$(timeout 120 "$@" 2>&1)
found=$?
took=$(echo "$(date +%s.%N) - $begin" | bc)
echo "$output"
echo "exit code $found after $took s"
[[ $found -eq $code ]] || { echo "expected exit code $code"; exit 1; }
[[ $(echo "$took < $seconds" | bc) -eq 1 ]] || { echo "expected less than $seconds s"; exit 1; }
grep -Eq "$regex" <<<"$output" || { echo "expected a line like: $regex"; exit 1; }
