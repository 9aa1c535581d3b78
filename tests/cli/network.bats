#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The way to the receiver: proxies that are not ours, IPv6, names, peers that vanish.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	transit_setup
	make_disk "$WORK/source" 12
	make_target "$WORK/target" 12
	NAMESPACES=()
}
teardown() {
	local ns
	[[ -z ${PROXY_PID:-} ]] || end_process "$PROXY_PID"
	transit_teardown
	for ns in "${NAMESPACES[@]}"; do ip netns del "$ns"; done
}

push() { send push --invite "$WORK/invite" --disk "$WORK/source=0" --retry 0 "$@"; }

# A port that was free a moment ago, below those that the kernel gives to whoever connects.
free_port() {
	local port i
	for ((i = 0; i < 50; i++)); do
		port=$((20000 + RANDOM % 12000))
		[[ -n $(ss -tlnH "sport = :$port") ]] || { echo "$port"; return; }
	done
	return 1
}

listens() { [[ -n $(ss -tlnH "sport = :$1") ]]; }

# start_tinyproxy LINE...: with these lines in its configuration
start_tinyproxy() {
	requires tinyproxy ss
	PROXY_PORT=$(free_port)
	printf '%s\n' "Port $PROXY_PORT" "Listen 127.0.0.1" "Timeout 60" \
		"LogFile \"$WORK/tinyproxy.log\"" "LogLevel Connect" "$@" >"$WORK/tinyproxy.conf"
	tinyproxy -d -c "$WORK/tinyproxy.conf" >"$WORK/tinyproxy.out" 2>&1 3>&- &
	PROXY_PID=$!
	wait_until 20 listens "$PROXY_PORT"
}

start_microsocks() {
	requires microsocks ss
	PROXY_PORT=$(free_port)
	microsocks -i 127.0.0.1 -p "$PROXY_PORT" "$@" >"$WORK/microsocks.out" 2>&1 3>&- &
	PROXY_PID=$!
	wait_until 20 listens "$PROXY_PORT"
}

put_password() {
	printf '%s\n' "$1" >"$WORK/password"
	chmod 600 "$WORK/password"
}

begin() {
	start_receiver "0=$WORK/target"
	pair 0 >/dev/null
}

@test "an HTTP proxy with a password carries every connection of a session" {
	requires strace
	begin
	start_tinyproxy "BasicAuth mover s3cret" "ConnectPort $LISTEN_PORT"
	put_password s3cret
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=connect -o "$WORK/trace" \
		"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once --connections 4 --json \
		--proxy "http://mover@127.0.0.1:$PROXY_PORT" --proxy-password-file "$WORK/password" >"$WORK/out"
	same_content "$WORK/source" "$WORK/target"
	[[ $(jq -r .proxy "$WORK/out") == "http://127.0.0.1:$PROXY_PORT" ]]
	(($(grep -c "htons($PROXY_PORT)" "$WORK/trace") >= 4))
	run grep "htons($LISTEN_PORT)" "$WORK/trace"
	[[ $status -eq 1 ]]
}

@test "a proxy's refusals have names, and never show the password" {
	begin
	start_tinyproxy "BasicAuth mover s3cret" "ConnectPort 443"
	run push --proxy "http://127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 4 && $output == *proxy-auth*"--proxy-password-file"* ]]
	run push --proxy "http://mover:wr0ng@127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 4 && $output == *proxy-auth* && $output != *wr0ng* ]]
	TRANSIT_DEBUG=all run push --proxy "http://mover:s3cret@127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 4 && $output == *proxy-refused*403* && $output != *s3cret* ]]
	end_process "$PROXY_PID"
	run push --proxy "http://127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 3 && $output == *proxy-unreachable* ]]
}

@test "a password file that others may read is refused" {
	begin
	put_password s3cret
	chmod 644 "$WORK/password"
	run push --proxy http://mover@127.0.0.1:1 --proxy-password-file "$WORK/password"
	echo "$output"
	[[ $status -eq 2 && $output == *"chmod 600"* && $output != *s3cret* ]]
}

@test "a SOCKS5 proxy resolves the name of the receiver itself" {
	requires strace
	begin
	start_microsocks -u mover -P s3cret
	put_password s3cret
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=connect,execve -o "$WORK/trace" \
		"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once --connections 3 \
		--to "localhost:$LISTEN_PORT" \
		--proxy "socks5://mover@127.0.0.1:$PROXY_PORT" --proxy-password-file "$WORK/password"
	same_content "$WORK/source" "$WORK/target"
	(($(grep -c "htons($PROXY_PORT)" "$WORK/trace") >= 3))
	run grep -E "getent|htons\($LISTEN_PORT\)" "$WORK/trace"
	[[ $status -eq 1 ]]
}

@test "SOCKS5: a wrong password and a closed port are told apart" {
	begin
	start_microsocks -u mover -P s3cret
	run push --proxy "socks5://mover:wr0ng@127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 4 && $output == *proxy-auth* && $output != *wr0ng* ]]
	run push --proxy "socks5://mover:s3cret@127.0.0.1:$PROXY_PORT" --to 127.0.0.1:1
	echo "$output"
	[[ $status -eq 3 && $output == *proxy-target-unreachable* ]]
	run push --proxy "http://127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -ne 0 && ($output == *proxy-protocol* || $output == *proxy-closed*) ]]
}

@test "the pin holds through a proxy" {
	begin
	start_microsocks
	jq '.spki_sha256 |= ("00" + .[2:])' "$WORK/invite" >"$WORK/wrong"
	run send push --invite "$WORK/wrong" --disk "$WORK/source=0" --once --retry 0 \
		--proxy "socks5://127.0.0.1:$PROXY_PORT"
	echo "$output"
	[[ $status -eq 4 && $output == *wrong-pin* ]]
}

@test "the environment's proxy is used when it is asked for, but for whom NO_PROXY names" {
	begin
	export https_proxy=http://127.0.0.1:1 # nobody listens there
	push
	run push --proxy env
	echo "$output"
	[[ $status -eq 3 && $output == *proxy-unreachable*127.0.0.1:1* ]]
	NO_PROXY=10.0.0.1,127.0.0.0/8 push --proxy env
	same_content "$WORK/source" "$WORK/target"
}

@test "check reaches the receiver through the proxy" {
	begin
	start_microsocks
	run send check --json --invite "$WORK/invite" --disk "$WORK/source=0" --proxy "socks5://127.0.0.1:$PROXY_PORT"
	jq -e '.checks[] | select(.id == "reach-receiver") | .level == "ok"' <<<"$output"
	end_process "$PROXY_PID"
	run send check --json --invite "$WORK/invite" --disk "$WORK/source=0" --proxy "socks5://127.0.0.1:$PROXY_PORT"
	jq -e '.checks[] | select(.id == "reach-receiver") | .level == "critical" and (.text | contains("proxy-unreachable"))' <<<"$output"
}

@test "a name is enough for --to" {
	begin
	push --once --to "localhost:$LISTEN_PORT"
	same_content "$WORK/source" "$WORK/target"
	run push --to no-such-host.invalid:443
	echo "$output"
	[[ $status -eq 3 && $output == *name-not-found* ]]
}

@test "what answers at an address and is no receiver does not end the search" {
	requires socat ss
	begin
	PROXY_PORT=$(free_port)
	socat "TCP-LISTEN:$PROXY_PORT,bind=127.0.0.1,fork,reuseaddr" SYSTEM:"echo no receiver" 2>/dev/null 3>&- &
	PROXY_PID=$!
	wait_until 20 listens "$PROXY_PORT"
	jq --arg a "127.0.0.1:$PROXY_PORT" '.addresses |= [$a] + .' "$WORK/invite" >"$WORK/two"
	send push --invite "$WORK/two" --disk "$WORK/source=0" --once --retry 0
	same_content "$WORK/source" "$WORK/target"
	# and when nobody else is there, what it said is told
	jq --arg a "127.0.0.1:$PROXY_PORT" '.addresses = [$a, "127.0.0.1:1"]' "$WORK/invite" >"$WORK/none"
	run send push --invite "$WORK/none" --state "$WORK/other" --disk "$WORK/source=0" --once --retry 0
	echo "$output"
	[[ $status -eq 3 && $output == *"127.0.0.1:$PROXY_PORT"*handshake* ]]
}

@test "IPv6: the invite, the way and the words" {
	[[ -e /proc/net/if_inet6 ]] || skip "needs IPv6"
	start_receiver "0=$WORK/target" --listen "[::1]:0"
	local port
	port=$(sed -n 's/^\[::1\]:\([0-9]*\)$/\1/p' "$STATE/listen")
	pair 0 --address "[::1]:$port"
	[[ $(jq -r '.addresses[0]' "$WORK/invite") == "[::1]:$port" ]]
	push --once
	same_content "$WORK/source" "$WORK/target"
	grep -F 'peer=[::1]:' "$WORK/receiverd.log"
}

@test "nobody says how large a socket's buffers are, both sides ask for keep-alive" {
	requires strace
	local real=$receiverd
	printf '#!/bin/sh\nexec strace -D -f -e trace=setsockopt -o "%s" "%s" "$@"\n' "$WORK/trace.r" "$real" >"$WORK/receiverd"
	chmod +x "$WORK/receiverd"
	export ASAN_OPTIONS=detect_leaks=0
	receiverd=$WORK/receiverd begin
	strace -f -e trace=setsockopt -o "$WORK/trace.s" \
		"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --once
	stop_receiver
	local side
	for side in s r; do
		grep -F SO_KEEPALIVE "$WORK/trace.$side"
		grep -F TCP_USER_TIMEOUT "$WORK/trace.$side"
		run grep -E 'SOL_SOCKET, SO_(SND|RCV)BUF' "$WORK/trace.$side"
		[[ $status -eq 1 ]]
	done
}

# Two namespaces with one cable: SOURCE_NS and TARGET_NS.
lay_cable() {
	requires_root
	requires ip
	local id=$BATS_TEST_NUMBER-$$ ns
	SOURCE_NS=transit-s-$id
	TARGET_NS=transit-t-$id
	for ns in "$SOURCE_NS" "$TARGET_NS"; do
		ip netns add "$ns" 2>/dev/null || skip "needs network namespaces"
		NAMESPACES+=("$ns")
		ip -n "$ns" link set lo up
		# an address is good at once
		ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0
	done
	ip -n "$SOURCE_NS" link add cable0 type veth peer name cable1 netns "$TARGET_NS"
	ip -n "$SOURCE_NS" link set cable0 up
	ip -n "$TARGET_NS" link set cable1 up
}

# start_receiver in the target's namespace
start_receiver_there() {
	printf '#!/bin/sh\nexec ip netns exec %s "%s" "$@"\n' "$TARGET_NS" "$receiverd" >"$WORK/receiverd"
	chmod +x "$WORK/receiverd"
	receiverd=$WORK/receiverd start_receiver "0=$WORK/target" "$@"
}

push_there() {
	ip netns exec "$SOURCE_NS" "$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" "$@"
}

link_local() { ip -n "$TARGET_NS" -6 -o addr show dev cable1 scope link | grep -o 'fe80:[^/]*'; }

port_of() { sed -n "s/^$1:\([0-9]*\)\$/\1/p" "$STATE/listen"; }

@test "a network with IPv6 only: the invite names its addresses, and link-local ones have a zone" {
	lay_cable
	ip -n "$SOURCE_NS" addr add 2001:db8::1/64 dev cable0 nodad
	ip -n "$TARGET_NS" addr add 2001:db8::2/64 dev cable1 nodad
	start_receiver_there --listen "[::]:0"
	local port local_address
	port=$(port_of '\[::\]')
	pair 0
	jq -r '.addresses[]' "$WORK/invite" | grep -Fx "[2001:db8::2]:$port"
	push_there --retry 0
	same_content "$WORK/source" "$WORK/target"

	local_address=$(link_local)
	dd if=/dev/urandom of="$WORK/source" bs=4096 count=1 conv=notrunc status=none
	push_there --retry 0 --once --to "[$local_address%cable0]:$port"
	same_content "$WORK/source" "$WORK/target"
	run push_there --retry 0 --to "[$local_address]:$port"
	echo "$output"
	[[ $status -eq 2 && $output == *interface* ]]
	run push_there --retry 0 --to "[$local_address%nosuch0]:$port"
	echo "$output"
	[[ $status -eq 3 && $output == *nosuch0* ]]
}

@test "a receiver may listen on a link-local address, and an invite may name it by the source's interface" {
	lay_cable
	start_receiver_there --listen "[$(link_local)%cable1]:0"
	local port
	port=$(sed -n 's/^\[fe80:.*%cable1\]:\([0-9]*\)$/\1/p' "$STATE/listen")
	pair 0 --address "[$(link_local)%cable0]:$port"
	push_there --retry 0 --once
	same_content "$WORK/source" "$WORK/target"
}

@test "BBR is asked for where the kernel has it, whatever the machine's choice is" {
	lay_cable
	ip -n "$SOURCE_NS" addr add 10.99.0.1/24 dev cable0
	ip -n "$TARGET_NS" addr add 10.99.0.2/24 dev cable1
	start_receiver_there --listen 10.99.0.2:0
	pair 0 --address "10.99.0.2:$(port_of '10\.99\.0\.2')"
	local expected=reno
	grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control && expected=bbr
	ip netns exec "$SOURCE_NS" sysctl -qw net.ipv4.tcp_congestion_control=reno || skip "needs to set a sysctl"
	push_there --retry 0 --json >"$WORK/out"
	[[ $(jq -r .congestion "$WORK/out") == "$expected" ]]
	[[ $(jq -r .proxy "$WORK/out") == null ]]
}

conn_ended() { grep -qE 'conn=[0-9]+ .* end=3 ' "$WORK/receiverd.log"; }
no_conn_left() { ! ps -o args= --ppid "$RECEIVER_PID" | grep -q 'conn [0-9]'; }

@test "a cable that is pulled is noticed on both sides, and the place is free again" {
	lay_cable
	ip -n "$SOURCE_NS" addr add 10.99.0.1/24 dev cable0
	ip -n "$TARGET_NS" addr add 10.99.0.2/24 dev cable1
	printf '[limits]\nidle-timeout = 6\n' >"$WORK/conf"
	start_receiver_there --listen 10.99.0.2:0 --config "$WORK/conf"
	pair 0 --address "10.99.0.2:$(port_of '10\.99\.0\.2')"
	push_there --limit 1M --dead-after 6 --retry 0 >/dev/null 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 20 state_is receiving
	sleep 1
	# the other end stays up: nobody sends a reset, and no route is withdrawn here
	ip -n "$TARGET_NS" link set cable1 down
	local began=$SECONDS status=0
	wait "$SENDER_PID" || status=$?
	SENDER_PID=
	echo "sender: status $status after $((SECONDS - began)) s"
	cat "$WORK/err"
	[[ $status -eq 3 ]]
	((SECONDS - began <= 15))
	wait_until 15 conn_ended
	wait_until 10 no_conn_left
	echo "receiver: after $((SECONDS - began)) s"
	((SECONDS - began <= 20))
}
