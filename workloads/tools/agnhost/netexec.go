package agnhost

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// netexecServer is an HTTP and a UDP server that say who they are, whom they talk to, and what they can reach.
type netexecServer struct {
	*app
	httpPort, udpPort int
	// ready is set while the UDP server is open (or when there is none to wait for: never, as upstream has it).
	ready atomic.Bool
	// term is done when the container has been told to end.
	term context.Context
	// end ends the program with an exit code.
	end context.CancelCauseFunc
}

func netexec(ctx context.Context, a *app, args []string) error {
	f := newFlags("netexec")
	httpPort := f.Int("http-port", 8080, "HTTP port")
	udpPort := f.Int("udp-port", 8081, "UDP port, -1 for none")
	udpHosts := f.String("udp-listen-addresses", "", "addresses of the UDP servers")
	certFile := f.String("tls-cert-file", "", "certificate")
	keyFile := f.String("tls-private-key-file", "", "private key")
	override := f.String("http-override", "", "path and parameters that every request is taken for")
	delay := f.Int("delay-shutdown", 0, "seconds to go on after SIGTERM")
	f.Int("sctp-port", -1, "SCTP port, not offered")
	if err := a.parse(f, args); err != nil {
		return err
	}
	config, err := a.keyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s := &netexecServer{app: a, httpPort: *httpPort, udpPort: *udpPort, term: ctx, end: end}
	stop := context.AfterFunc(ctx, func() {
		a.sys.Clock.Sleep(time.Duration(*delay) * time.Second)
		end(nil)
	})
	defer stop()
	group, life := errgroup.WithContext(life)
	if *udpPort != -1 {
		hosts := slices.Compact(slices.Sorted(slices.Values(strings.Split(*udpHosts, ","))))
		for _, host := range hosts {
			group.Go(func() error {
				defer s.ready.Store(false)
				return s.serveUDP(life, host, *udpPort, func() { s.ready.Store(true) }, s.datagram)
			})
		}
	}
	handler := s.routes()
	if *override != "" {
		handler = overridden(handler, *override)
	}
	group.Go(func() error {
		a.log.Printf("Started HTTP server on port %d", *httpPort)
		return a.serve(life, *httpPort, handler, config)
	})
	err = group.Wait()
	var exit *program.ExitError
	if cause := context.Cause(life); errors.As(cause, &exit) {
		if exit.Code == 0 {
			return nil
		}
		return exit
	}
	return err
}

func overridden(h http.Handler, target string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target, nil)
		if err != nil {
			http.Error(w, fmt.Sprintf("override request failed: %v", err), http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, req)
	})
}

func (s *netexecServer) routes() http.Handler {
	mux := http.NewServeMux()
	say := func(path string, do func(r *http.Request) string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s.log.Printf("GET %s", path)
			fmt.Fprint(w, do(r))
		})
	}
	say("/", func(*http.Request) string { return fmt.Sprintf("NOW: %v", s.sys.Clock.Now()) })
	say("/clientip", func(r *http.Request) string { return r.RemoteAddr })
	say("/serverport", func(*http.Request) string { return strconv.Itoa(s.httpPort) })
	say("/hostname", func(*http.Request) string { return s.sys.Hostname })
	say("/hostName", func(*http.Request) string { return s.sys.Hostname })
	say("/header", header)
	mux.HandleFunc("/dial", s.dial)
	mux.HandleFunc("/echo", s.echo)
	mux.HandleFunc("/exit", s.exit)
	mux.HandleFunc("/shutdown", func(http.ResponseWriter, *http.Request) { s.end(&program.ExitError{}) })
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/redirect", s.redirect)
	mux.HandleFunc("/shell", s.shell)
	mux.HandleFunc("/upload", s.upload)
	return mux
}

func header(r *http.Request) string {
	if key := r.FormValue("key"); key != "" {
		return r.Header.Get(key)
	}
	data, err := json.Marshal(r.Header)
	if err != nil {
		return fmt.Sprintf("error marshalling header, err: %v", err)
	}
	return string(data)
}

func (s *netexecServer) echo(w http.ResponseWriter, r *http.Request) {
	msg, code := r.FormValue("msg"), r.FormValue("code")
	s.log.Printf("GET /echo?msg=%s&code=%s", msg, code)
	if code != "" {
		n, err := strconv.Atoi(code)
		if err != nil {
			fmt.Fprintf(w, "argument 'code' must be an integer or empty, got %q\n", code)
			return
		}
		w.WriteHeader(n)
	}
	fmt.Fprint(w, msg)
}

// exit ends the program after a while with a code. Upstream ends at once, with the answer unsent, unless a timeout is given.
func (s *netexecServer) exit(w http.ResponseWriter, r *http.Request) {
	s.log.Printf("GET /exit?code=%s&timeout=%s&wait=%s", r.FormValue("code"), r.FormValue("timeout"), r.FormValue("wait"))
	code, err := strconv.Atoi("0" + r.FormValue("code"))
	if err != nil {
		fmt.Fprintf(w, "argument 'code' must be an integer [0-127] or empty, got %q\n", r.FormValue("code"))
		return
	}
	wait, err := time.ParseDuration(r.FormValue("wait"))
	if err != nil && r.FormValue("wait") != "" {
		fmt.Fprintf(w, "argument 'wait' must be a valid golang duration or empty, got %q\n", r.FormValue("wait"))
		return
	}
	s.sys.Clock.Sleep(wait)
	s.end(&program.ExitError{Code: code})
}

// healthz says whether the UDP server is open.
func (s *netexecServer) healthz(w http.ResponseWriter, _ *http.Request) {
	s.log.Print("GET /healthz")
	if !s.ready.Load() {
		w.WriteHeader(http.StatusPreconditionFailed)
	}
}

// readyz is healthz until SIGTERM has come.
func (s *netexecServer) readyz(w http.ResponseWriter, _ *http.Request) {
	s.log.Print("GET /readyz")
	switch {
	case s.term.Err() != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "shutting down")
	case s.ready.Load():
		fmt.Fprint(w, "ok")
	default:
		w.WriteHeader(http.StatusPreconditionFailed)
	}
}

func (s *netexecServer) redirect(w http.ResponseWriter, r *http.Request) {
	location, code := r.FormValue("location"), http.StatusFound
	s.log.Printf("%s /redirect?msg=%s&code=%s", r.Method, location, r.FormValue("code"))
	if c := r.FormValue("code"); c != "" {
		var err error
		if code, err = strconv.Atoi(c); err != nil {
			fmt.Fprintf(w, "argument 'code' must be an integer or empty, got %q\n", c)
			return
		}
	}
	http.Redirect(w, r, location, code)
}

// shell runs a command line in the container.
func (s *netexecServer) shell(w http.ResponseWriter, r *http.Request) {
	line := r.FormValue("shellCommand")
	if line == "" {
		line = r.FormValue("cmd")
	}
	s.log.Printf("GET /shell?cmd=%s", line)
	var out bytes.Buffer
	sys := *s.sys
	sys.Stdin, sys.Stdout, sys.Stderr = strings.NewReader(""), &out, &out
	result := map[string]string{}
	if err := shell.Run(r.Context(), &sys, []string{"/bin/sh", "-c", line}); err != nil {
		result["error"] = err.Error()
	}
	if out.Len() > 0 {
		result["output"] = out.String()
	}
	s.log.Printf("Output: %s", result)
	s.json(w, http.StatusOK, result)
}

func (s *netexecServer) json(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, fmt.Sprintf("response could not be serialized. %v", err), http.StatusExpectationFailed)
		return
	}
	w.WriteHeader(code)
	if _, err := w.Write(data); err != nil {
		s.log.Printf("write answer: %v", err)
	}
}

// upload stores the form's file in /uploads and says under which name.
func (s *netexecServer) upload(w http.ResponseWriter, r *http.Request) {
	s.log.Print("GET /upload")
	name := "/uploads/upload" + rand.Text()
	store := func() error {
		in, _, err := r.FormFile("file")
		if err != nil {
			return err
		}
		defer in.Close()
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if err := s.sys.Files.MkdirAll("/uploads", 0o755); err != nil {
			return err
		}
		return program.WriteFile(s.sys.Files, name, data, 0o700)
	}
	if err := store(); err != nil {
		s.log.Printf("Unable to upload file: %v", err)
		s.json(w, http.StatusOK, map[string]string{"error": "Unable to upload file."})
		return
	}
	s.json(w, http.StatusCreated, map[string]string{"output": name})
}

// datagram is the answer to one UDP message.
func (s *netexecServer) datagram(msg string, from net.Addr) string {
	msg = strings.ToLower(strings.TrimSpace(msg))
	switch {
	case msg == "hostname":
		return s.sys.Hostname
	case strings.HasPrefix(msg, "echo "):
		return strings.TrimPrefix(msg, "echo ")
	case msg == "clientip":
		return from.String()
	case msg == "serverport":
		return strconv.Itoa(s.udpPort)
	}
	s.log.Printf("Unknown UDP command received from %s: %v", from, msg)
	return ""
}
