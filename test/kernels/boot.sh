# One machine at a time: its console goes to a file, the second serial line carries the command's output.

machine= # process id of qemu's guard

stop_machine() {
  [ ! "$machine" ] || kill "$machine" 2>/dev/null || true
}

# boot_kernel SERIES: runs the packed root's command there, shows its output, adds to counts; fails as the command does
boot_kernel() {
  local version output=$work/output-$1 console=$work/console-$1 started=$SECONDS status
  version=$(<"$cache/$1/version")
  echo "== Linux $version"
  cat "$cache/$1/modules.cpio" "$work/root.cpio" >"$work/initrd"
  : >"$output"
  start_machine "$cache/$1/vmlinuz" "$console" "$output"
  tail -s 0.2 --pid="$machine" -n +1 -f "$output" | grep --line-buffered -v '^weir-exit: ' &
  wait "$machine" || true
  machine=
  wait $!
  status=$(sed -n 's/^weir-exit: //p' "$output" | tail -1)
  report_kernel "$version" "$output" "$console" "$((SECONDS - started))" "${status:-none}"
}

start_machine() {
  timeout -k 5 "$time_limit" qemu-system-x86_64 -accel tcg -cpu max -m 2048 -smp 2 -no-reboot -nodefaults -display none \
    -serial "file:$2" -serial "file:$3" -kernel "$1" -initrd "$work/initrd" \
    -append "console=ttyS0 loglevel=5 rdinit=/init panic=-1" </dev/null &
  machine=$!
}

# report_kernel VERSION OUTPUT CONSOLE SECONDS STATUS
report_kernel() {
  local outcome complaints
  outcome=$(count_tests "$2")
  [ "$outcome" ] || outcome="exit status $5"
  complaints=$(grep -E 'BUG:|WARNING:|Oops|Kernel panic|RIP: 0010' "$3" || true)
  if [ "$5" = none ]; then
    outcome+=", did not finish in $4 s"
    tail -20 "$3" | sed 's/^/   console: /'
  fi
  if [ "$complaints" ]; then
    outcome+=", the kernel complained"
    sed 's/^/   kernel: /' <<<"$complaints"
  fi
  echo "== Linux $1: $outcome ($4 s)"
  counts+=("$1 $outcome")
  [ "$5" = 0 ] && [ ! "$complaints" ]
}

# From the last lines of node's spec reporter (`ℹ pass 12`) and of the C side's tests (`parse: 12 passed, 0 failed, 1 skipped`)
count_tests() {
  awk '
    $1 == "ℹ" { n[$2] += $3 }
    /^[a-z]+: [0-9]+ passed, [0-9]+ failed/ { n["pass"] += $2; n["fail"] += $4; n["skipped"] += $6 }
    END { if ("pass" in n) printf "%d passed, %d failed, %d skipped", n["pass"], n["fail"] + n["cancelled"], n["skipped"] + n["todo"] }
  ' "$1"
}
