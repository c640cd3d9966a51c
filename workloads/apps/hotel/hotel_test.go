// Six SQL engines in one process race for variables that go-mysql-server keeps per process; as containers they do not.
//go:build !race

package hotel_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

	"github.com/gameday-bench/gameday/workloads/apps/hotel"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/seed"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/stores/cache"
	"github.com/gameday-bench/gameday/workloads/stores/sql"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld"
)

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

// site is the whole application on this machine's loopback, one goroutine per program.
type site struct {
	t     testing.TB
	env   map[string]string
	front func() string
	lan   *lan
	spans *collector
	stops map[string]func()
	logs  map[string]*syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

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
	s.logs[name] = &syncBuffer{}
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

// newSite starts everything; variants are the builds that are not the released one.
func newSite(t testing.TB, variants map[string]string) *site {
	t.Helper()
	logrus.SetOutput(io.Discard)
	s := &site{t: t, env: map[string]string{"OTEL_TRACES_SAMPLER_ARG": "0.25"}, stops: map[string]func(){}, logs: map[string]*syncBuffer{}, lan: &lan{addresses: map[string]string{}}, spans: &collector{spans: map[string][]string{}}}
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
	s.front = func() string { return "http://" + s.lan.address("frontend:8080") }
	require.Eventually(t, func() bool {
		code, _ := s.get("/hotels?inDate=2030-01-07&outDate=2030-01-09&lat=37.7867&lon=-122.4112")
		login, _ := s.post("/user", url.Values{"username": {"guest_1"}, "password": {"hotel-1-guest"}})
		best, _ := s.get("/recommendations?require=rate&lat=37.78&lon=-122.41")
		return code == http.StatusOK && login == http.StatusOK && best == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
	return s
}

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

type answer struct {
	Hotels []struct {
		ID         string
		Name       string
		TotalCents int64
		Lat, Lon   float64
	}
}

func TestSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const near = "/hotels?inDate=2030-01-04&outDate=2030-01-06&lat=37.7867&lon=-122.4112"

	t.Run("search", func(t *testing.T) {
		code, body := s.get(near)
		require.Equal(t, http.StatusOK, code, body)
		var a answer
		require.NoError(t, json.Unmarshal([]byte(body), &a))
		require.Len(t, a.Hotels, 5)
		for i, h := range a.Hotels {
			require.NotEmpty(t, h.Name)
			require.Positive(t, h.TotalCents)
			if i > 0 {
				require.LessOrEqual(t, a.Hotels[i-1].TotalCents, h.TotalCents, "cheapest first")
			}
		}
		// The same question is answered from the caches: nothing may change.
		_, again := s.get(near)
		require.Equal(t, body, again)
		for _, bad := range []string{"inDate=x&outDate=2030-01-06&lat=1&lon=1", "inDate=2030-01-06&outDate=2030-01-06&lat=1&lon=1", "inDate=2030-01-04&outDate=2030-01-06&lat=a&lon=1", "inDate=2030-01-04&outDate=2030-01-06&lat=100&lon=1"} {
			code, body := s.get("/hotels?" + bad)
			require.Equal(t, http.StatusBadRequest, code, body)
		}
		code, body = s.get("/hotels?inDate=2030-01-04&outDate=2030-01-06&lat=0&lon=0")
		require.Equal(t, http.StatusOK, code)
		require.JSONEq(t, `{"hotels":[]}`, body)
	})
	t.Run("recommend", func(t *testing.T) {
		for _, require_ := range []string{"dis", "rate", "price"} {
			code, body := s.get("/recommendations?lat=37.78&lon=-122.41&require=" + require_)
			require.Equal(t, http.StatusOK, code, body)
			require.Contains(t, body, `"name"`)
		}
		code, _ := s.get("/recommendations?lat=37.78&lon=-122.41&require=luck")
		require.Equal(t, http.StatusBadRequest, code)
	})
	t.Run("user", func(t *testing.T) {
		for _, wrong := range []url.Values{{"username": {"guest_1"}, "password": {"x"}}, {"username": {"eve"}, "password": {"x"}}} {
			code, body := s.post("/user", wrong)
			require.Equal(t, http.StatusUnauthorized, code, body)
		}
	})
	t.Run("reserve until full", func(t *testing.T) {
		at := strings.Fields(s.mysql("geo", "SELECT lat, lon FROM geo.point WHERE hotel_id = '3'"))
		require.Len(t, at, 2)
		offered := func() string {
			code, body := s.get("/hotels?inDate=2030-01-09&outDate=2030-01-11&lat=" + at[0] + "&lon=" + at[1])
			require.Equal(t, http.StatusOK, code, body)
			return body
		}
		require.Contains(t, offered(), `{"id":"3"`)
		free := s.mysql("reservation", "UPDATE reservation.room_night SET booked = capacity - 7 WHERE hotel_id = '3' AND night = '2030-01-10'; SELECT 'x'")
		require.Equal(t, "x", free)
		form := url.Values{
			"username": {"guest_2"}, "password": {"hotel-2-guest"}, "customerName": {"guest_2"}, "hotelId": {"3"},
			"inDate": {"2030-01-09"}, "outDate": {"2030-01-11"}, "rooms": {"1"},
		}
		codes := make([]int, 20)
		var wait sync.WaitGroup
		for i := range codes {
			wait.Go(func() { codes[i], _ = s.post("/reservation", form) })
		}
		wait.Wait()
		count := map[int]int{}
		for _, c := range codes {
			count[c]++
		}
		require.Equal(t, map[int]int{http.StatusOK: 7, http.StatusConflict: 13}, count)
		require.Equal(t, "0", s.mysql("reservation", "SELECT capacity - booked FROM reservation.room_night WHERE hotel_id = '3' AND night = '2030-01-10'"))
		require.Equal(t, "7", s.mysql("reservation", "SELECT booked FROM reservation.room_night WHERE hotel_id = '3' AND night = '2030-01-09'"))
		require.Equal(t, "7", s.mysql("reservation", "SELECT COUNT(*) FROM reservation.reservation WHERE hotel_id = '3'"))
		require.NotContains(t, offered(), `{"id":"3"`, "the last booking removed the hotel's calendar from the cache")
		form.Set("hotelId", "999")
		code, _ := s.post("/reservation", form)
		require.Equal(t, http.StatusConflict, code)
	})
	t.Run("a request is booked once", func(t *testing.T) {
		form := url.Values{
			"username": {"guest_2"}, "password": {"hotel-2-guest"}, "customerName": {"guest_2"}, "hotelId": {"4"}, "inDate": {"2030-01-09"}, "outDate": {"2030-01-10"},
		}
		var bodies []string
		for range 3 {
			req, err := http.NewRequest(http.MethodPost, s.front()+"/reservation", strings.NewReader(form.Encode()))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Idempotency-Key", "abc")
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
			bodies = append(bodies, string(body))
		}
		require.Equal(t, []string{bodies[0], bodies[0], bodies[0]}, bodies)
		require.Equal(t, "1", s.mysql("reservation", "SELECT booked FROM reservation.room_night WHERE hotel_id = '4' AND night = '2030-01-09'"))
	})
	t.Run("metrics", func(t *testing.T) {
		resp, err := http.Get("http://" + s.lan.address("frontend:9464") + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), `http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/hotels"}`)
		require.Contains(t, string(body), `rpc_client_duration_seconds_count{rpc_grpc_status_code="OK",rpc_method="Nearby",rpc_service="hotel.v1.Search"}`)
	})
	t.Run("a trace goes through all services to the stores", func(t *testing.T) {
		const id = "0123456789abcdef0123456789abcdef"
		req, err := http.NewRequest(http.MethodGet, s.front()+"/hotels?inDate=2030-02-04&outDate=2030-02-06&lat=37.7867&lon=-122.4112", nil)
		require.NoError(t, err)
		req.Header.Set("Traceparent", "00-"+id+"-0123456789abcdef-01")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		want := []string{
			"frontend GET /hotels", "frontend hotel.v1.Profile/GetProfiles", "frontend hotel.v1.Reservation/CheckAvailability", "frontend hotel.v1.Search/Nearby",
			"geo hotel.v1.Geo/Nearby", "geo select points in box", "profile MGET", "profile hotel.v1.Profile/GetProfiles",
			"rate MGET", "rate SET", "rate hotel.v1.Rate/GetRates", "rate select season factors",
			"reservation MGET", "reservation hotel.v1.Reservation/CheckAvailability",
			"search hotel.v1.Geo/Nearby", "search hotel.v1.Rate/GetRates", "search hotel.v1.Search/Nearby",
		}
		missing := func() bool {
			return slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(s.spans.trace(id), w) })
		}
		require.Eventually(t, func() bool { return !missing() }, 10*time.Second, 20*time.Millisecond, "%q", s.spans.trace(id))
	})
	t.Run("a revoked grant shows at the front and is gone when it is given back", func(t *testing.T) {
		s.mysql("geo", "REVOKE ALL ON geo.* FROM 'geo'@'%'")
		code, body := s.get(near)
		require.Equal(t, http.StatusInternalServerError, code, body)
		require.Contains(t, s.logs["geo"].String(), "Error 1044")
		require.Contains(t, s.logs["frontend"].String(), `"trace_id"`)
		s.mysql("geo", "GRANT ALL ON geo.* TO 'geo'@'%'")
		code, body = s.get(near)
		require.Equal(t, http.StatusOK, code, body)
	})
	t.Run("a cache that is gone costs nothing but time", func(t *testing.T) {
		s.stops["redis-profile"]()
		code, body := s.get(near)
		require.Equal(t, http.StatusOK, code, body)
	})
	t.Run("a service that is gone", func(t *testing.T) {
		s.stops["rate"]()
		code, body := s.get(near)
		require.Equal(t, http.StatusServiceUnavailable, code, body)
	})
}

func TestBuildVariant(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"rate": "2.3.2"})
	failed := 0
	const days = 14
	for day := range days {
		code, body := s.get(fmt.Sprintf("/hotels?inDate=2030-01-%02d&outDate=2030-01-%02d&lat=37.7867&lon=-122.4112", day+2, day+3))
		if code != http.StatusOK {
			require.Equal(t, http.StatusInternalServerError, code, body)
			require.Contains(t, body, "weekend supplement")
			failed++
		}
	}
	require.Equal(t, 4, failed, "the nights of two Fridays and two Saturdays")
}
