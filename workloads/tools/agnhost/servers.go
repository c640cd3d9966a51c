package agnhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
)

// lingering is how long serve-hostname goes on after SIGTERM, so that its pod is deleted and does not end by itself.
const lingering = 60 * time.Second

// serveHostname answers everything with the pod's name, over HTTP or over plain TCP and UDP.
func serveHostname(ctx context.Context, a *app, args []string) error {
	f := newFlags("serve-hostname")
	tcp := f.Bool("tcp", false, "serve TCP")
	udp := f.Bool("udp", false, "serve UDP")
	web := f.Bool("http", true, "serve HTTP")
	closing := f.Bool("close", false, "close the connection after each request")
	port := f.Int("port", 9376, "port")
	if err := a.parse(f, args); err != nil {
		return err
	}
	if *web && (*tcp || *udp) {
		return errors.New("cannot serve TCP or UDP and HTTP at the same time")
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() {
		a.log.Print("Shutting down after receiving signal: terminated.")
		a.log.Print("Awaiting pod deletion.")
		a.sys.Clock.Sleep(lingering)
		end()
	})
	defer stop()
	group, life := errgroup.WithContext(life)
	if *tcp {
		group.Go(func() error { return a.greetTCP(life, *port) })
	}
	if *udp {
		group.Go(func() error {
			return a.serveUDP(life, "", *port, func() {}, func(string, net.Addr) string { return a.sys.Hostname })
		})
	}
	if *web {
		group.Go(func() error {
			return a.serve(life, *port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a.log.Printf("HTTP request from %s", r.RemoteAddr)
				if *closing {
					w.Header().Add("Connection", "close")
				}
				fmt.Fprint(w, a.sys.Hostname)
			}), nil)
		})
	}
	a.log.Printf("Serving on port %d.", *port)
	return group.Wait()
}

// greetTCP sends the pod's name to whoever connects.
func (a *app) greetTCP(ctx context.Context, port int) error {
	l, err := a.sys.Net.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen at port %d: %w", port, err)
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept connection: %w", err)
		}
		a.log.Printf("TCP request from %s", conn.RemoteAddr())
		_, _ = conn.Write([]byte(a.sys.Hostname))
		conn.Close()
	}
}

// porter serves, at every port X of a variable SERVE_PORT_X or SERVE_TLS_PORT_X, the variable's value.
func porter(ctx context.Context, a *app, args []string) error {
	f := newFlags("porter")
	asJSON := f.Bool("json-response", false, "answer with method and value as JSON")
	if err := a.parse(f, args); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, value := range a.sys.Env {
		plain, isPlain := strings.CutPrefix(name, "SERVE_PORT_")
		secure, isSecure := strings.CutPrefix(name, "SERVE_TLS_PORT_")
		if !isPlain && !isSecure {
			continue
		}
		port, err := strconv.Atoi(plain)
		if isSecure {
			port, err = strconv.Atoi(secure)
		}
		if err != nil {
			return fmt.Errorf("read port of %s: %w", name, err)
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !*asJSON {
				fmt.Fprint(w, value)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(struct{ Method, Body string }{r.Method, value})
		})
		config, err := a.porterKeyPair(isSecure)
		if err != nil {
			return err
		}
		group.Go(func() error { return a.serve(ctx, port, h, config) })
	}
	group.Go(func() error {
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// liveness is a server that is well for its first ten seconds.
func liveness(ctx context.Context, a *app, args []string) error {
	if err := a.parse(newFlags("liveness"), args); err != nil {
		return err
	}
	const well = 10 * time.Second
	started := a.sys.Clock.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("/started", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, a.sys.Clock.Since(started)) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		age := a.sys.Clock.Since(started)
		if age <= well {
			fmt.Fprint(w, "ok")
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "error: %v", age.Seconds())
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		to, err := url.QueryUnescape(r.URL.Query().Get("loc"))
		if err != nil {
			http.Error(w, fmt.Sprintf("invalid redirect: %q", r.URL.Query().Get("loc")), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	return a.serve(ctx, 8080, mux, nil)
}

// testWebserver serves the container's files over HTTP.
func testWebserver(ctx context.Context, a *app, args []string) error {
	f := newFlags("test-webserver")
	port := f.Int("port", 80, "port")
	if err := a.parse(f, args); err != nil {
		return err
	}
	// A read-only root is served as it is.
	if err := a.installLocalhost(); err != nil && !errors.Is(err, syscall.EROFS) {
		return err
	}
	files := http.FileServerFS(fileSystem{a.sys.Files})
	return a.serve(ctx, *port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		// No 304: a test that rolls out another build would not see it.
		r.Header.Del("If-Modified-Since")
		files.ServeHTTP(w, r)
	}), nil)
}

// fileSystem is a container's files as an fs.FS.
type fileSystem struct{ files program.Files }

func (f fileSystem) Open(name string) (fs.File, error) {
	return f.files.Open("/" + strings.TrimPrefix(name, "/"))
}

// logsGenerator prints numbered lines, evenly over a time.
func logsGenerator(ctx context.Context, a *app, args []string) error {
	f := newFlags("logs-generator")
	total := f.IntP("log-lines-total", "t", 0, "lines")
	length := f.DurationP("run-duration", "d", 0, "time")
	if err := a.parse(f, args); err != nil {
		return err
	}
	if *total <= 0 || *length <= 0 {
		return fmt.Errorf("want lines and a time, not %d in %v", *total, *length)
	}
	methods, namespaces := []string{"GET", "POST", "PUT"}, []string{"kube-system", "default", "ns"}
	ticker := a.sys.Clock.NewTicker(*length / time.Duration(*total))
	defer ticker.Stop()
	lines := log.New(a.sys.Stderr, "I", log.Ltime|log.Lmicroseconds)
	for i := range *total {
		lines.Printf("       1 logs_generator.go:76] %d %s /api/v1/namespaces/%s/pods/%s %d", i, methods[rand.IntN(len(methods))],
			namespaces[rand.IntN(len(namespaces))], strconv.FormatInt(rand.Int64N(36*36*36), 36), 200+rand.IntN(400))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C():
		}
	}
	return nil
}
