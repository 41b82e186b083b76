package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// trustDomain is the SPIFFE trust domain of every identity in the mesh.
const trustDomain = "cluster.local"

// authority is the mesh's certificate authority. It lives in memory only: certificates and keys reach each Envoy inside
// its configuration, so nothing has to be removed from disk when the demo ends, however it ends.
type authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	rootPEM string
	serial  int64
}

// identity is what one workload proves itself with.
type identity struct {
	spiffe   string // URI SAN
	chainPEM string
	keyPEM   string
}

// newAuthority makes a self-signed root valid from an hour before now (a laptop's clock may jump back) for a week.
func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the mesh's root key: %w", err)
	}
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{Organization: []string{"Binnacle demo mesh"}},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: trustDomain}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(7 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the mesh's root certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the mesh's root certificate: %w", err)
	}
	return &authority{cert: cert, key: key, rootPEM: pemText("CERTIFICATE", der), serial: 1}, nil
}

// issue makes the certificate of one service account, good for both ends of a connection. Not safe for concurrent use.
func (a *authority) issue(namespace, account string) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("make the key of %s/%s: %w", namespace, account, err)
	}
	a.serial++
	id := spiffeID(namespace, account)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		URIs:         []*url.URL{{Scheme: "spiffe", Host: trustDomain, Path: "/ns/" + namespace + "/sa/" + account}},
		NotBefore:    a.cert.NotBefore,
		NotAfter:     a.cert.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return identity{}, fmt.Errorf("sign the certificate of %s: %w", id, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return identity{}, fmt.Errorf("encode the key of %s: %w", id, err)
	}
	return identity{spiffe: id, chainPEM: pemText("CERTIFICATE", der), keyPEM: pemText("PRIVATE KEY", keyDER)}, nil
}

// spiffeID names a service account as Istio does.
func spiffeID(namespace, account string) string {
	return "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + account
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
