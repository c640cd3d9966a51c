package depot_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

const token = "secret"

// serve returns a depot's directory and its address.
func serve(t *testing.T) (dir, address string) {
	t.Helper()
	dir = t.TempDir()
	server := httptest.NewServer((&depot.Server{Dir: dir, Token: token}).Handler())
	t.Cleanup(server.Close)
	return dir, server.URL
}

func TestObjects(t *testing.T) {
	t.Parallel()
	dir, address := serve(t)
	c := depot.NewClient(address, token, nil)
	keys, err := c.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)
	_, err = c.Get(t.Context(), "tries/0/a")
	require.ErrorIs(t, err, fs.ErrNotExist)

	big := bytes.Repeat([]byte("0123456789abcdef\n"), 1<<16)
	for key, data := range map[string][]byte{"tries/0/b": big, "tries/0/a": []byte("x"), "plan.json": {}} {
		require.NoError(t, c.Put(t.Context(), key, data))
	}
	got, err := c.Get(t.Context(), "tries/0/b")
	require.NoError(t, err)
	require.True(t, bytes.Equal(big, got))
	got, err = c.Get(t.Context(), "plan.json")
	require.NoError(t, err)
	require.Empty(t, got)
	require.NoError(t, c.Put(t.Context(), "tries/0/a", []byte("y")), "replaced")
	got, err = c.Get(t.Context(), "tries/0/a")
	require.NoError(t, err)
	require.Equal(t, "y", string(got))
	keys, err = c.List(t.Context(), "tries/")
	require.NoError(t, err)
	require.Equal(t, []string{"tries/0/a", "tries/0/b"}, keys)

	_, err = c.Get(t.Context(), "tries/0")
	require.Error(t, err, "a directory is no object")
	_, err = c.Get(t.Context(), "plan.json/x")
	require.ErrorIs(t, err, fs.ErrNotExist)
	incoming, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	require.Empty(t, incoming)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	dir, address := serve(t)
	require.ErrorIs(t, depot.NewClient(address, "guess", nil).Put(t.Context(), "a", nil), blob.ErrRefused)
	c := depot.NewClient(address, token, nil)
	require.ErrorIs(t, c.Put(t.Context(), "../a", nil), blob.ErrRefused)
	require.ErrorIs(t, c.Put(t.Context(), ".hidden", nil), blob.ErrRefused)
	for name, tc := range map[string]struct {
		method, path, token, digest string
		want                        int
	}{
		"no token":        {http.MethodPut, "/objects/a", "", blob.Digest([]byte("x")), 401},
		"wrong digest":    {http.MethodPut, "/objects/a", token, blob.Digest([]byte("y")), 422},
		"no digest":       {http.MethodPut, "/objects/a", token, "", 422},
		"key":             {http.MethodPut, "/objects/a%20b", token, blob.Digest([]byte("x")), 400},
		"list, no token":  {http.MethodGet, "/keys", "", "", 401},
		"no such method":  {http.MethodPost, "/objects/a", token, "", 405},
		"delete":          {http.MethodDelete, "/objects/a", token, "", 405},
		"health, anybody": {http.MethodGet, depot.HealthPath, "", "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, address+tc.path, strings.NewReader("x"))
		require.NoError(t, err)
		req.Header.Set("Gameday-Token", tc.token)
		req.Header.Set("Gameday-Digest", tc.digest)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, tc.want, resp.StatusCode, name)
	}
	keys, err := c.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys, "what was not whole is not there")
	found, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	require.Empty(t, found)
}

// TestAnUploadThatIsCutOffLeavesNothing: the pod is killed while it sends.
func TestAnUploadThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, address := serve(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	require.NoError(t, err)
	_, err = conn.Write([]byte("PUT /objects/tries/0/a HTTP/1.1\r\nHost: depot\r\nGameday-Token: " + token + "\r\nGameday-Digest: sha256:00\r\nContent-Length: 1000\r\n\r\nhalf"))
	require.NoError(t, err)
	incoming := filepath.Join(dir, "incoming")
	require.Eventually(t, func() bool { entries, err := os.ReadDir(incoming); return err == nil && len(entries) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { entries, err := os.ReadDir(incoming); return err == nil && len(entries) == 0 }, 10*time.Second, 5*time.Millisecond)
	keys, err := depot.NewClient(address, token, nil).List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestDamageIsSeen(t *testing.T) {
	t.Parallel()
	dir, address := serve(t)
	c := depot.NewClient(address, token, nil)
	require.NoError(t, c.Put(t.Context(), "a", []byte("hello")))
	file := filepath.Join(dir, "objects", "a")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(data[:len(data)-1], 'O'), 0o600))
	_, err = c.Get(t.Context(), "a")
	require.ErrorIs(t, err, blob.ErrCorrupt)
	require.True(t, blob.Final(err))
}

// TestWhatIsInBetween: the API server answers for a depot that is not there.
func TestWhatIsInBetween(t *testing.T) {
	t.Parallel()
	for status, final := range map[int]bool{404: false, 503: false, 502: false, 200: false, 401: false, 403: true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		_, err := depot.NewClient(server.URL, token, nil).Get(t.Context(), "a")
		server.Close()
		require.Error(t, err, status)
		require.Equal(t, final, blob.Final(err), status)
	}
}

// TestAnswerThatIsCutOffIsNotDamage: the depot, or the volume below it, goes away while an object is read.
func TestAnswerThatIsCutOffIsNotDamage(t *testing.T) {
	t.Parallel()
	_, address := serve(t)
	data := bytes.Repeat([]byte("0123456789abcdef\n"), 1<<16) // Not what a server has in its buffer at the end, and can count.
	require.NoError(t, depot.NewClient(address, token, nil).Put(t.Context(), "a", data))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/objects/a", nil)
	require.NoError(t, err)
	req.Header.Set("Gameday-Token", token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, int64(len(data)), resp.ContentLength, "so that half of it is not the whole")

	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Gameday-Depot", "1")
		w.Header().Set("Gameday-Digest", blob.Digest(data))
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(data[:500])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	_, err = depot.NewClient(cut.URL, token, nil).Get(t.Context(), "a")
	require.Error(t, err)
	require.NotErrorIs(t, err, blob.ErrCorrupt)
	require.False(t, blob.Final(err))
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	_, address := serve(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			data := bytes.Repeat([]byte{byte('a' + i)}, 1000)
			if err := depot.NewClient(address, token, nil).Put(t.Context(), "same", data); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got, err := depot.NewClient(address, token, nil).Get(t.Context(), "same")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(string(got[:1]), 1000), string(got), "one of them, whole")
}

func TestServe(t *testing.T) {
	t.Parallel()
	certificate, key, err := depot.Certificate(time.Now(), "depot.ns.svc")
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	probe, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := probe.Addr().String()
	require.NoError(t, probe.Close())
	dir := t.TempDir()
	stale := filepath.Join(dir, "incoming", "123")
	require.NoError(t, os.MkdirAll(filepath.Dir(stale), 0o700))
	require.NoError(t, os.WriteFile(stale, []byte("half"), 0o600))
	ended := make(chan error, 1)
	go func() { ended <- (&depot.Server{Dir: dir, Token: depot.NewToken()}).Serve(ctx, address, pair) }()

	trusting, err := depot.Trusting(certificate)
	require.NoError(t, err)
	own, ok := trusting.(*http.Transport)
	require.True(t, ok)
	own.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: own}
	get := func(url string) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	require.Eventually(t, func() bool {
		status, err := get("https://depot.ns.svc" + depot.HealthPath)
		return err == nil && status == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond)
	require.NoFileExists(t, stale, "what a killed server was about to store")
	_, err = get("https://other.ns.svc" + depot.HealthPath)
	var wrong *tls.CertificateVerificationError
	require.ErrorAs(t, err, &wrong)
	cancel()
	require.NoError(t, <-ended)

	_, err = depot.Trusting([]byte("nothing"))
	require.Error(t, err)
}
