# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# peers - against other ways to copy a disk over an encrypted connection; source and target in memory
#
# Each peer is three functions: NAME_serve SIZE (not timed; sets server), NAME_copy (timed, returns when
# all bytes are in the target), and NAME_done (not timed). All are given the cipher that ours takes.

peers_prepare() {
	tls=$work/tls
	[[ ! -d $tls ]] || return 0
	mkdir -p "$tls"
	make_certificates
	printf '[overrides]\ntls-disabled-cipher = aes-256-gcm\ntls-disabled-cipher = chacha20-poly1305\n' >"$tls/gnutls"
	printf 'openssl_conf = i\n[i]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nCiphersuites = TLS_AES_128_GCM_SHA256\n' >"$tls/openssl"
	ssh-keygen -q -t ed25519 -N '' -f "$work/ssh-host"
	ssh-keygen -q -t ed25519 -N '' -f "$work/ssh-key"
	cp "$work/ssh-key.pub" "$work/ssh-authorized"
	[[ $EUID -ne 0 ]] || mkdir -p /run/sshd
}

# An authority of this run and a certificate under it: qemu takes no certificate that is both.
make_certificates() {
	local -a key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
	openssl req -x509 "${key[@]}" -days 30 -subj /CN=bench -addext keyUsage=critical,keyCertSign \
		-keyout "$tls/ca-key.pem" -out "$tls/ca-cert.pem" 2>/dev/null
	openssl req -new "${key[@]}" -subj /CN=localhost -keyout "$tls/server-key.pem" -out "$tls/server.csr" 2>/dev/null
	printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
		'extendedKeyUsage=serverAuth' >"$tls/extensions"
	openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca-cert.pem" -CAkey "$tls/ca-key.pem" -CAcreateserial \
		-days 30 -extfile "$tls/extensions" -out "$tls/server-cert.pem" 2>/dev/null
}

gnutls() { env GNUTLS_SYSTEM_PRIORITY_FILE="$tls/gnutls" "$@"; }

serve_on_port() {
	port=$(free_port)
	"${@//PORT/$port}" >"$work/server.log" 2>&1 &
	server=$!
	started "$server"
	wait_for 10 listens "$port" || { cat "$work/server.log" >&2; die "$1 did not start"; }
}

# ---- the peers ----

nbdcopy_connections=2
nbdcopy_serve() {
	serve_on_port env GNUTLS_SYSTEM_PRIORITY_FILE="$tls/gnutls" nbdkit -f -i 127.0.0.1 -p PORT \
		--tls=require --tls-certificates="$tls" file "$work/target"
}
nbdcopy_copy() {
	gnutls nbdcopy --connections="$nbdcopy_connections" --threads="$nbdcopy_connections" \
		"$source" "nbds://127.0.0.1:$port/?tls-certificates=$tls"
}

qemu_img_serve() {
	serve_on_port env GNUTLS_SYSTEM_PRIORITY_FILE="$tls/gnutls" qemu-nbd -f raw --cache=writeback \
		--discard=unmap -b 127.0.0.1 -p PORT -e 8 --persistent \
		--object "tls-creds-x509,id=t,endpoint=server,dir=$tls,verify-peer=off" --tls-creds t "$work/target"
}
qemu_img_copy() {
	gnutls qemu-img convert -n -m 16 -W -f raw --target-image-opts \
		--object "tls-creds-x509,id=t,endpoint=client,dir=$tls" "$source" \
		"driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=127.0.0.1,file.server.port=$port,file.tls-creds=t"
}

sshd_serve() {
	serve_on_port "$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f /dev/null -p PORT -h "$work/ssh-host" \
		-o ListenAddress=127.0.0.1 -o AuthorizedKeysFile="$work/ssh-authorized" -o StrictModes=no \
		-o UsePAM=no -o PidFile=none -o PermitRootLogin=yes -o PasswordAuthentication=no
	ssh_line="ssh -F none -p $port -i $work/ssh-key -c aes128-gcm@openssh.com"
	ssh_line+=" -o Compression=no -o BatchMode=yes -o StrictHostKeyChecking=no"
	ssh_line+=" -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
}
dd_ssh_serve() { sshd_serve; }
dd_ssh_copy() {
	# shellcheck disable=SC2086 # a line of options
	dd if="$source" bs=1M status=none | $ssh_line 127.0.0.1 \
		"dd of='$work/target' bs=1M iflag=fullblock conv=notrunc status=none"
}
rsync_serve() { sshd_serve; }
rsync_copy() {
	rsync --inplace -W --ignore-times -e "$ssh_line" "$source" "127.0.0.1:$work/target"
}

dd_lz4_tls_serve() {
	port=$(free_port)
	OPENSSL_CONF=$tls/openssl bash -o pipefail -c "socat -u -b 1048576 \
		OPENSSL-LISTEN:$port,bind=127.0.0.1,reuseaddr,verify=0,cert='$tls/server-cert.pem',key='$tls/server-key.pem' - |
		lz4 -dc | dd of='$work/target' bs=1M iflag=fullblock conv=notrunc status=none" 2>"$work/server.log" &
	server=$!
	started "$server"
	wait_for 10 listens "$port"
}
dd_lz4_tls_copy() {
	dd if="$source" bs=1M status=none | lz4 -1 -c |
		OPENSSL_CONF=$tls/openssl socat -u -b 1048576 - "OPENSSL:127.0.0.1:$port,verify=0"
	wait "$server"
}

ours_copy() { ours_push; }
for_ours_with() { # NAME ARG...: one more way to run ours
	local name=$1
	shift
	eval "${name}_serve() { ours_serve \"\$@\"; }; ${name}_copy() { ours_push $*; }"
}

# ---- one run ----

proof_of_peer() { # both ends at once; sets digests_equal
	"$@" "$source" >"$work/sum1" &
	local pid=$!
	"$@" "$work/target" >"$work/sum2"
	wait "$pid"
	digests_equal=$([[ $(grep -oE '[0-9a-f]{64}' "$work/sum1") == "$(grep -oE '[0-9a-f]{64}' "$work/sum2")" ]] && echo true || echo false)
}

# peers_run IMAGE ROUND NAME [proof]: with proof the two checks that a peer's user would run follow
peers_run() {
	local image=$1 round=$2 name=$3 receive same sum=null openssl=null extra='{}'
	fresh_target "$size"
	"${name}_serve" "$size"
	timed "${name}_copy" || die "$name failed on the $image image"
	local wall=$t_wall cpu=$t_cpu here=$load
	if [[ $name == ours* ]]; then
		extra=$(ours_cpu)
		receive=$(jq .all <<<"$extra")
		extra=$(jq -c '{bytes_wire, verified}' "$work/push.json")
	elif [[ $name == dd_lz4_tls ]]; then
		receive=null # both ends' processes are children of one shell: its sum is in the sender's column
	else
		receive=$(tree_cpu "$server")
	fi
	ended "$server"
	spoil "$name"
	same=$(same_content "$source" "$work/target")
	if [[ ${4:-} == proof ]]; then
		timed proof_of_peer sha256sum
		sum=$t_wall
		timed proof_of_peer openssl dgst -sha256
		openssl=$t_wall
		[[ $digests_equal == "$same" ]] || die "sha256sum and cmp disagree about $name"
	fi
	row --arg image "$image" --argjson round "$round" --arg name "$name" --argjson wall "$wall" \
		--argjson sender "$cpu" --argjson receiver "$receive" --argjson sum "$sum" --argjson openssl "$openssl" \
		--argjson same "$same" --argjson load "$here" --argjson extra "$extra" \
		--arg options "$([[ $name != nbdcopy ]] || echo "$nbdcopy_connections connections")" \
		'{$image, $round, $name, $wall, $sender, $receiver, sha256sum: $sum, openssl: $openssl, $same, $load, $options} + $extra'
	note "$image $round $name: $wall s"
}

# What one connection, two or four make of it: the best is the peer.
choose_connections() {
	local n best=
	for n in 1 2 4; do
		nbdcopy_connections=$n
		fresh_target "$size"
		nbdcopy_serve
		timed nbdcopy_copy || die "nbdcopy failed"
		ended "$server"
		if [[ -z $best ]] || awk -v a="$t_wall" -v b="${best% *}" 'BEGIN { exit !(a < b) }'; then best="$t_wall $n"; fi
	done
	nbdcopy_connections=${best#* }
	note "nbdcopy: best with $nbdcopy_connections connections"
}

peers_parts() { # IMAGE ROUND CODEC
	local parts
	fresh_target "$size"
	load=$(loadavg)
	parts=$("$bin/tests/bench_parts" "$3" "$source" "$work/target" "$tls/server-cert.pem" "$tls/server-key.pem" "$connections")
	row --arg image "$1" --argjson round "$2" --argjson parts "$parts" --argjson load "$load" \
		'{$image, $round, name: "parts", $parts, $load}'
}

bench_peers() {
	local image i name
	local -a ours=(ours)
	have_memory $((2 * size)) || { not_run peers $((2 * size)); return 0; }
	peers_prepare
	rows_begin peers
	if ours_knows --digest fast; then
		for_ours_with ours_fast --digest fast
		ours+=(ours_fast)
	fi
	for name in $(ours_codecs); do
		for_ours_with "ours_$name" --codec "$name"
		ours+=("ours_$name")
	done
	for_ours_with ours_proof --once
	for image in mixed dense; do
		say "peers: $image, $(human "$size")"
		source=$work/source
		make_image "$image" "$source" "$size"
		choose_connections
		for ((i = 1; i <= runs; i++)); do
			for name in nbdcopy qemu_img dd_ssh dd_lz4_tls rsync; do peers_run "$image" "$i" "$name" proof; done
			for name in "${ours[@]}" ours_proof; do peers_run "$image" "$i" "$name"; done
			for name in raw lz4; do peers_parts "$image" "$i" "$name"; done
		done
	done
	rm -f "$work/source" "$work/target"
	report peers
}
