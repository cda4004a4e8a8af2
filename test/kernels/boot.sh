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
  tail -s 0.2 --pid="$machine" -n +1 -f "$output" | grep --line-buffered -v '^weir-[a-z]*: ' &
  wait "$machine" || true
  machine=
  wait $!
  status=$(sed -n 's/^weir-exit: //p' "$output" | tail -1)
  report_kernel "$1" "$version" "$output" "$console" "$((SECONDS - started))" "${status:-unknown}"
}

start_machine() {
  timeout -k 5 "$time_limit" qemu-system-x86_64 -accel tcg -cpu max -m 2048 -smp 2 -no-reboot -nodefaults -display none \
    -serial "file:$2" -serial "file:$3" -kernel "$1" -initrd "$work/initrd" \
    -append "console=ttyS0 loglevel=5 rdinit=/init panic=-1" </dev/null &
  machine=$!
}

# report_kernel SERIES VERSION OUTPUT CONSOLE SECONDS STATUS
report_kernel() {
  local outcome="exit status $6" complaints
  complaints=$(grep -E 'BUG:|WARNING:|Oops|Kernel panic|Call Trace|RIP: 0010' "$4" || true)
  if grep -q '^weir-count: ' "$3"; then
    outcome=$(sed -n 's/^weir-count: //p' "$3" | tail -1)
  fi
  if [ "$6" = unknown ]; then
    outcome="did not finish in $5 s"
    tail -20 "$4" | sed 's/^/   console: /'
  fi
  if [ "$complaints" ]; then
    outcome+=", kernel complained"
    sed 's/^/   kernel: /' <<<"$complaints"
  fi
  echo "== Linux $2: $outcome ($5 s)"
  counts+=("$2 $outcome")
  [ "$6" = 0 ] && [ ! "$complaints" ]
}
