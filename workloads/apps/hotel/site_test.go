// Six SQL engines in one process race for variables that go-mysql-server keeps per process; as containers they do not.
//go:build !race

package hotel_test

import (
	"context"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/gameday-bench/gameday/internal/syncbuf"
	"github.com/gameday-bench/gameday/workloads/apps/hotel"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/seed"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/stores/cache"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld"
)

// site is the whole application on this machine's loopback, one goroutine per program.
type site struct {
	t     testing.TB
	env   map[string]string
	lan   *lan
	spans *collector
	stops map[string]func()
	logs  map[string]*syncbuf.Buffer
}

// newSite starts everything; variants are the builds that are not the released one.
func newSite(t testing.TB, variants map[string]string) *site {
	t.Helper()
	logrus.SetOutput(io.Discard)
	s := &site{t: t, env: map[string]string{"OTEL_TRACES_SAMPLER_ARG": "0.25"}, stops: map[string]func(){}, logs: map[string]*syncbuf.Buffer{}, lan: &lan{addresses: map[string]string{}}, spans: &collector{spans: map[string][]string{}}}
	s.collect()
	all, err := seed.Scripts()
	require.NoError(t, err)
	for _, script := range all {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, script.Name), []byte(script.SQL), 0o600))
		image := mysqld.Image()
		system, err := program.System(&image, nil)
		require.NoError(t, err)
		s.run("mysql-"+script.Store, sql.Version, []program.Image{mysqld.Image()}, map[string]string{
			"MYSQL_ROOT_PASSWORD": "r", "MYSQL_DATABASE": script.Store, "MYSQL_USER": script.Store, "MYSQL_PASSWORD": "p",
			"DATADIR": t.TempDir(),
		}, scripts{system.Files, dir})
	}
	for _, name := range []string{"rate", "profile", "reservation"} {
		s.run("redis-"+name, cache.Version, cache.Images(), nil, nil, "--requirepass", "c")
	}
	for _, name := range []string{"geo", "rate", "profile", "recommendation", "user", "reservation", "search", "frontend"} {
		variant := variants[name]
		if variant == "" {
			variant = hotel.Version
		}
		s.run(name, variant, hotel.Images(), map[string]string{
			"DB_PASSWORD": "p", "CACHE_PASSWORD": "c",
		}, nil)
	}
	require.Eventually(t, func() bool {
		code, _ := s.get("/hotels?inDate=2030-01-07&outDate=2030-01-09&lat=37.7867&lon=-122.4112")
		login, _ := s.post("/user", url.Values{"username": {"guest_1"}, "password": {"hotel-1-guest"}})
		best, _ := s.get("/recommendations?require=rate&lat=37.78&lon=-122.41")
		return code == http.StatusOK && login == http.StatusOK && best == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
	return s
}

func (s *site) run(name, variant string, images []program.Image, env map[string]string, files program.Files, args ...string) {
	s.t.Helper()
	var image *program.Image
	for i := range images {
		if strings.HasSuffix(images[i].Repository, "/"+strings.Split(name, "-")[0]) {
			image = &images[i]
		}
	}
	require.NotNil(s.t, image, name)
	sys, err := program.System(image, args)
	require.NoError(s.t, err)
	sys.Env = maps.Clone(s.env)
	maps.Copy(sys.Env, env)
	sys.Net = host{sys.Net, s.lan, name}
	sys.Variant = variant
	s.logs[name] = &syncbuf.Buffer{}
	sys.Stdout, sys.Stderr = s.logs[name], s.logs[name]
	if files != nil {
		sys.Files = files
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- image.Program(ctx, sys) }()
	var once sync.Once
	s.stops[name] = func() {
		once.Do(func() {
			cancel()
			require.NoError(s.t, <-done, s.logs[name].String())
		})
	}
	s.t.Cleanup(s.stops[name])
}

func (s *site) collect() {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	s.lan.addresses["otel:4317"] = listener.Addr().String()
	s.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://otel:4317"
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, s.spans)
	go server.Serve(listener)
	s.t.Cleanup(server.Stop)
}

// front is the URL of the front door.
func (s *site) front() string { return "http://" + s.lan.address("frontend:8080") }

func (s *site) get(path string) (int, string) {
	resp, err := http.Get(s.front() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(body)
}

func (s *site) post(path string, form url.Values) (int, string) {
	resp, err := http.PostForm(s.front()+path, form)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(body)
}

func (s *site) mysql(store, query string) string {
	s.t.Helper()
	image := sql.Image()
	sys, err := program.System(&image, []string{"-uroot", "-pr", "-h", "mysql-" + store, "-N", "-e", query})
	require.NoError(s.t, err)
	var out strings.Builder
	sys.Env, sys.Stdout, sys.Stderr, sys.Net = nil, &out, io.Discard, host{sys.Net, s.lan, "client"}
	require.NoError(s.t, sql.Client(s.t.Context(), sys))
	return strings.TrimSpace(out.String())
}

// scripts shows a directory in the place where the stores look for their scripts.
type scripts struct {
	program.Files
	dir string
}

func (s scripts) host(name string) string {
	return strings.Replace(name, "/docker-entrypoint-initdb.d", s.dir, 1)
}
func (s scripts) ReadDir(name string) ([]fs.DirEntry, error) { return s.Files.ReadDir(s.host(name)) }
func (s scripts) Open(name string) (*program.File, error)    { return s.Files.Open(s.host(name)) }

// lan is a network of named hosts on this machine's loopback, so that programs listen on their own ports and find one
// another by their own names.
type lan struct {
	mu        sync.Mutex
	addresses map[string]string
}

func (l *lan) address(host string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addresses[host]
}

// host is one host's network.
type host struct {
	program.Network
	lan  *lan
	name string
}

func (h host) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := h.Network.Listen(ctx, network, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.lan.addresses[h.name+address] = l.Addr().String()
	return l, nil
}

func (h host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	actual := h.lan.address(address)
	if actual == "" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return h.Network.DialContext(ctx, network, actual)
}

// collector keeps the spans that it gets.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string][]string
}

func (c *collector) Export(_ context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.ResourceSpans {
		service := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range r.ScopeSpans {
			for _, span := range scope.Spans {
				id := hex.EncodeToString(span.TraceId)
				c.spans[id] = append(c.spans[id], service+" "+span.Name)
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// trace returns the spans of one trace, sorted and without repetitions.
func (c *collector) trace(id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.spans[id])
	slices.Sort(out)
	return slices.Compact(out)
}
