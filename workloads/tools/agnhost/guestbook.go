package agnhost

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// registerTimeout bounds how long a replica looks for its primary, registerPeriod is the time between two tries.
	registerTimeout = 15 * time.Second
	registerPeriod  = time.Second
)

// book is a small key-value store with a primary that pushes what it learns to its replicas.
type book struct {
	*app
	backendPort string

	mu       sync.Mutex
	data     map[string]string
	replicas []string
}

func guestbook(ctx context.Context, a *app, args []string) error {
	f := newFlags("guestbook")
	port := f.Int("http-port", 80, "port")
	backend := f.String("backend-port", "6379", "port of the other nodes")
	primary := f.String("replicaof", "", "host name of the primary")
	if err := a.parse(f, args); err != nil {
		return err
	}
	b := &book{app: a, backendPort: *backend, data: map[string]string{}}
	group, ctx := errgroup.WithContext(ctx)
	if *primary != "" {
		group.Go(func() error { return b.register(ctx, *primary) })
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/register", b.serveRegister)
	mux.HandleFunc("/get", b.serveGet)
	mux.HandleFunc("/set", b.serveSet)
	mux.HandleFunc("/guestbook", b.serveGuestbook)
	group.Go(func() error { return a.serve(ctx, *port, mux, nil) })
	return group.Wait()
}

// register tells the primary this pod's address and takes over what it knows.
func (b *book) register(ctx context.Context, primary string) error {
	address := net.JoinHostPort(primary, b.backendPort)
	try := func() error {
		conn, err := b.sys.Net.DialContext(ctx, "udp", address)
		if err != nil {
			return err
		}
		self, _, err := net.SplitHostPort(conn.LocalAddr().String())
		conn.Close()
		if err != nil {
			return err
		}
		answer, err := b.askHTTP(ctx, address, "register?host="+self)
		if err != nil {
			return err
		}
		var reply struct{ Data map[string]string }
		if err := json.Unmarshal([]byte(answer), &reply); err != nil {
			return fmt.Errorf("decode the primary's answer: %w", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		maps.Copy(b.data, reply.Data)
		return nil
	}
	for start := b.sys.Clock.Now(); ; {
		err := try()
		if err == nil {
			b.log.Printf("Registered to node: %s", primary)
			return nil
		}
		if b.sys.Clock.Since(start) > registerTimeout {
			return fmt.Errorf("register to primary: %w", err)
		}
		b.log.Printf("register to primary: %v. Retrying in %s.", err, registerPeriod)
		select {
		case <-ctx.Done():
			return nil
		case <-b.sys.Clock.After(registerPeriod):
		}
	}
}

func (b *book) answer(w http.ResponseWriter, key string, value any) {
	data, err := json.Marshal(map[string]any{key: value}) // Not an Encoder: upstream's test compares without a line's end.
	if err != nil {
		http.Error(w, fmt.Sprintf("response could not be serialized. %v", err), http.StatusExpectationFailed)
		return
	}
	if _, err := w.Write(data); err != nil {
		b.log.Printf("write answer: %v", err)
	}
}

func (b *book) serveRegister(w http.ResponseWriter, r *http.Request) {
	host := r.URL.Query().Get("host")
	b.mu.Lock()
	data := maps.Clone(b.data)
	b.replicas = append(b.replicas, host)
	b.mu.Unlock()
	b.answer(w, "data", data)
	b.log.Printf("Node '%s' registered.", host)
}

func (b *book) serveGet(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	b.mu.Lock()
	data, value := maps.Clone(b.data), b.data[key]
	b.mu.Unlock()
	if key == "" {
		b.answer(w, "data", data)
		return
	}
	b.answer(w, "data", value)
}

func (b *book) serveSet(w http.ResponseWriter, r *http.Request) {
	key, value := r.URL.Query().Get("key"), r.URL.Query().Get("value")
	if key == "" {
		http.Error(w, "cannot set with empty key.", http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.data[key] = value
	replicas := slices.Clone(b.replicas)
	b.mu.Unlock()
	for _, replica := range replicas {
		if _, err := b.askHTTP(r.Context(), net.JoinHostPort(replica, b.backendPort), request("set", key, value)); err != nil {
			http.Error(w, fmt.Sprintf("encountered error while propagating to replica '%s': %v", replica, err), http.StatusExpectationFailed)
			return
		}
	}
	b.answer(w, "message", "Updated")
}

func request(cmd, key, value string) string {
	return cmd + "?" + url.Values{"key": {key}, "value": {value}}.Encode()
}

// serveGuestbook passes a request on to the primary (set) or to a replica (get).
func (b *book) serveGuestbook(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	cmd, key := strings.ToLower(q.Get("cmd")), q.Get("key")
	host, known := map[string]string{"get": "agnhost-replica", "set": "agnhost-primary"}[cmd]
	switch {
	case !known:
		http.Error(w, fmt.Sprintf("unsupported cmd: '%s'", cmd), http.StatusBadRequest)
		return
	case cmd == "set" && key == "":
		http.Error(w, "cannot set with empty key.", http.StatusBadRequest)
		return
	}
	out, err := b.askHTTP(r.Context(), net.JoinHostPort(host, b.backendPort), request(cmd, key, q.Get("value")))
	if err != nil {
		http.Error(w, fmt.Sprintf("encountered error: %v", err), http.StatusExpectationFailed)
		return
	}
	fmt.Fprint(w, out)
}
