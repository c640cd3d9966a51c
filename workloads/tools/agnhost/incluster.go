package agnhost

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
)

// serviceAccount is where every pod finds its account's token and the cluster's authority.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// fetch gets a path of the API server, or a whole URL, with the pod's token, which is read anew each time.
func (a *app) fetch(ctx context.Context, target string) ([]byte, string, error) {
	ca, err := program.ReadFile(a.sys.Files, serviceAccount+"ca.crt")
	if err != nil {
		return nil, "", fmt.Errorf("read the cluster's authority: %w", err)
	}
	token, err := program.ReadFile(a.sys.Files, serviceAccount+"token")
	if err != nil {
		return nil, "", fmt.Errorf("read token: %w", err)
	}
	if strings.HasPrefix(target, "/") {
		target = "https://" + net.JoinHostPort(a.sys.Getenv("KUBERNETES_SERVICE_HOST"), a.sys.Getenv("KUBERNETES_SERVICE_PORT")) + target
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, "", err
	}
	auth := "Bearer " + strings.TrimSpace(string(token))
	req.Header.Set("Authorization", auth)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	resp, err := a.client(&tls.Config{RootCAs: pool}).Do(req)
	if err != nil {
		return nil, auth, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s", target, resp.Status)
	}
	return body, auth, err
}

// inClusterClient asks the API server how it is, again and again, and says with which token it did.
func inClusterClient(ctx context.Context, a *app, args []string) error {
	f := newFlags("inclusterclient")
	period := f.Int("poll-interval", 30, "seconds")
	if err := a.parse(f, args); err != nil {
		return err
	}
	a.log.Print("started")
	ticker := a.sys.Clock.NewTicker(time.Duration(*period) * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		a.log.Print("calling /healthz")
		body, auth, err := a.fetch(ctx, "/healthz")
		sum := sha256.Sum256([]byte("salt|" + auth))
		a.log.Printf("authz_header=%s", base64.RawURLEncoding.EncodeToString(sum[:]))
		if err != nil {
			a.log.Print("status=failed")
			a.log.Printf("error checking /healthz: %v\n%s", err, body)
		}
	}
}

// issuerDiscovery verifies a service account's token with nothing but what its issuer publishes: the discovery document and
// the keys that it names.
func issuerDiscovery(ctx context.Context, a *app, args []string) error {
	f := newFlags("test-service-account-issuer-discovery")
	path := f.String("token-path", "", "token")
	audience := f.String("audience", "", "audience")
	if err := a.parse(f, args); err != nil {
		return err
	}
	token, err := program.ReadFile(a.sys.Files, *path)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	a.log.Print("OK: Got token")
	parts := strings.Split(strings.TrimSpace(string(token)), ".")
	const jwtParts = 3
	if len(parts) != jwtParts {
		return errors.New("parse token: not three parts")
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Aud []string
		Exp int64
	}
	if err := errors.Join(decodePart(parts[0], &head), decodePart(parts[1], &claims)); err != nil {
		return err
	}
	a.log.Printf("OK: got issuer %s", claims.Iss)
	key, err := a.issuerKey(ctx, claims.Iss, head.Kid)
	if err != nil {
		return err
	}
	a.log.Printf("OK: Constructed OIDC provider for issuer %v", claims.Iss)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("decode signature: %w", err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !verified(key, head.Alg, sum[:], signature) {
		return fmt.Errorf("verify %s signature: it is not the issuer's", head.Alg)
	}
	if !slices.Contains(claims.Aud, *audience) || a.sys.Clock.Now().Unix() > claims.Exp {
		return fmt.Errorf("verify claims: audience %v until %v", claims.Aud, time.Unix(claims.Exp, 0))
	}
	a.log.Print("OK: Validated signature on JWT")
	a.log.Print("OK: Got valid claims from token!")
	return nil
}

func decodePart(part string, v any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("decode token: %w", err)
	}
	return nil
}

// verified tells whether the signature of a digest is that of the key: RS256 with an RSA key, ES256 with one of P-256.
func verified(key crypto.PublicKey, alg string, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		const size = 32
		return alg == "ES256" && len(signature) == 2*size &&
			ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	}
	return false
}

// issuerKey finds the issuer's key of an identifier: an RSA key, or one of P-256.
func (a *app) issuerKey(ctx context.Context, issuer, id string) (crypto.PublicKey, error) {
	var provider struct {
		Issuer  string `json:"issuer"`
		KeysURI string `json:"jwks_uri"`
	}
	get := func(target string, v any) error {
		body, _, err := a.fetch(ctx, target)
		if err == nil {
			err = json.Unmarshal(body, v)
		}
		if err != nil {
			return fmt.Errorf("discover issuer: %w", err)
		}
		return nil
	}
	if err := get(strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &provider); err != nil {
		return nil, err
	}
	if provider.Issuer != issuer {
		return nil, fmt.Errorf("discover issuer: asked %q, answered by %q", issuer, provider.Issuer)
	}
	var set struct {
		Keys []webKey
	}
	if err := get(provider.KeysURI, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid == id {
			return k.public()
		}
	}
	return nil, fmt.Errorf("find the issuer's key %q: not published", id)
}

// uncompressed is the first octet of a point that is given by both coordinates (SEC 1, section 2.3.3).
const uncompressed = 4

// webKey is a JSON web key (RFC 7517).
type webKey struct{ Kid, Kty, Crv, N, E, X, Y string }

func (k webKey) public() (crypto.PublicKey, error) {
	var failure error
	octets := func(s string) []byte {
		data, err := base64.RawURLEncoding.DecodeString(s)
		failure = errors.Join(failure, err)
		return data
	}
	number := func(s string) *big.Int { return new(big.Int).SetBytes(octets(s)) }
	var key crypto.PublicKey
	switch {
	case k.Kty == "RSA":
		key = &rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())}
	case k.Kty == "EC" && k.Crv == "P-256":
		point := append(append([]byte{uncompressed}, octets(k.X)...), octets(k.Y)...)
		parsed, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if failure = errors.Join(failure, err); failure == nil {
			key = parsed
		}
	default:
		return nil, fmt.Errorf("decode the issuer's key: unknown kind %s %s", k.Kty, k.Crv)
	}
	if failure != nil {
		return nil, fmt.Errorf("decode the issuer's key: %w", failure)
	}
	return key, nil
}
