#!/bin/sh
# Creates the certificates of the tests, with keys that protect nothing. They are valid for a hundred years.
set -eu
cd "$(dirname "$0")"
days=36500

# Creates NAME.pem and NAME-key.pem, signed by the authority.
certificate() {
  name=$1 subject=$2 alternative=$3
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name-key.pem" -subj "$subject" -out "$name.csr"
  printf 'subjectAltName=%s\nbasicConstraints=CA:false\n' "$alternative" >"$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days $days -extfile "$name.ext" -out "$name.pem"
  rm "$name.csr" "$name.ext"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -days $days -subj "/CN=epoll-hello tests" -out ca.pem
certificate server /CN=localhost DNS:localhost,IP:127.0.0.1,IP:::1
certificate renewed /CN=localhost DNS:localhost,IP:127.0.0.1,IP:::1
certificate example /CN=example.test 'DNS:example.test,DNS:*.example.test'
certificate client /CN=client DNS:client
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger-key.pem -days $days -subj /CN=stranger -out stranger.pem
openssl ec -in server-key.pem -aes128 -passout pass:secret -out server-key-encrypted.pem
rm -f ca-key.pem ca.srl
