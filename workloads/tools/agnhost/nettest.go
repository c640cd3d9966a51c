package agnhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// nettestPeriod is the time between two looks at the peers, nettestRounds how often they are contacted.
	nettestPeriod = 5 * time.Second
	nettestRounds = 15
	// nettestTimeout bounds the wait for as many peers as are expected.
	nettestTimeout = 5 * time.Minute
	// nettestLog bounds the state's messages.
	nettestLog = 500
)

// peers is the state of one server of nettest, as /read shows it: whom it reached and who reached it.
type peers struct {
	Hostname             string
	Sent                 map[string]int
	Received             map[string]int
	Errors               []string
	Log                  []string
	StillContactingPeers bool

	mu   sync.Mutex
	want int
}

// nettest contacts every pod of its Service, expects to be contacted by each, and says how that went.
func nettest(ctx context.Context, a *app, args []string) error {
	f := newFlags("nettest")
	port := f.Int("port", 8080, "port")
	want := f.Int("peers", 8, "pods to find")
	service := f.String("service", "nettest", "Service of the pods")
	namespace := f.String("namespace", "default", "namespace of the pods")
	delay := f.Int("delay-shutdown", 0, "seconds to go on after SIGTERM")
	if err := a.parse(f, args); err != nil {
		return err
	}
	if *service == "" {
		return errors.New("must provide -service flag")
	}
	p := &peers{Hostname: a.sys.Hostname, StillContactingPeers: true, want: *want}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() {
		if *delay > 0 {
			a.log.Printf("Sleeping %d seconds before exit ...", *delay)
			a.sys.Clock.Sleep(time.Duration(*delay) * time.Second)
		}
		end()
	})
	defer stop()
	var contacts sync.WaitGroup
	contacts.Go(func() { p.contact(life, a, *namespace, *service) })
	defer contacts.Wait()
	mux := http.NewServeMux()
	mux.HandleFunc("/quit", func(http.ResponseWriter, *http.Request) { end() })
	mux.HandleFunc("/read", p.serveRead)
	mux.HandleFunc("/write", p.serveWrite)
	mux.HandleFunc("/status", p.serveStatus)
	err := a.serve(life, *port, mux, nil)
	end()
	return err
}

func (p *peers) serveRead(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if data, err := json.MarshalIndent(p, "", "\t"); p.note(err) {
		_, err = w.Write(data)
		p.note(err)
	}
}

// serveWrite records a peer that has reached this pod, and answers with the pod's name.
func (p *peers) serveWrite(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var message struct{ Source, Dest string }
	p.note(json.NewDecoder(r.Body).Decode(&message))
	if message.Source == "" {
		p.note(fmt.Errorf("%s: Got request with no source", p.Hostname))
	} else {
		if p.Received == nil {
			p.Received = map[string]int{}
		}
		p.Received[message.Source]++
	}
	p.note(json.NewEncoder(w).Encode(struct{ Hostname string }{p.Hostname}))
}

func (p *peers) serveStatus(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.Sent) >= p.want && len(p.Received) >= p.want:
		fmt.Fprint(w, "pass")
	case p.StillContactingPeers:
		fmt.Fprint(w, "running")
	default:
		fmt.Fprint(w, "fail")
	}
}

// note keeps an error and tells whether there was none; the caller holds the lock.
func (p *peers) note(err error) bool {
	if err != nil {
		p.Errors = append(p.Errors, err.Error())
	}
	return err == nil
}

func (p *peers) logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Log = append(p.Log, fmt.Sprintf(format, args...))
	if len(p.Log) > nettestLog {
		p.Log = p.Log[1:]
	}
}

// contact waits for the peers and then writes to each, several times: endpoints come late.
func (p *peers) contact(ctx context.Context, a *app, namespace, service string) {
	defer func() {
		p.mu.Lock()
		p.StillContactingPeers = false
		p.mu.Unlock()
	}()
	waiting, begin := true, a.sys.Clock.Now()
	for rounds := 0; rounds < nettestRounds; {
		urls, err := a.endpoints(ctx, namespace, service)
		if err != nil {
			p.logf("Unable to read the endpoints for %v/%v: %v.", namespace, service, err)
		}
		if waiting = waiting && len(urls) < p.want && a.sys.Clock.Since(begin) < nettestTimeout; waiting {
			p.logf("%v/%v has %v endpoints (%v), which is less than %v as expected. Waiting for all endpoints to come up.",
				namespace, service, len(urls), urls, p.want)
		} else {
			rounds++
			for _, url := range urls {
				p.logf("Attempting to contact %s", url)
				if err := p.write(ctx, a, url); err != nil {
					p.logf("Warning: unable to contact the endpoint %q: %v", url, err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.sys.Clock.After(nettestPeriod):
		}
	}
}

// write tells one peer that it was reached.
func (p *peers) write(ctx context.Context, a *app, url string) error {
	body, err := json.Marshal(struct{ Source, Dest string }{p.Hostname, url})
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/write", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client(nil).Do(req)
	if err != nil {
		return fmt.Errorf("post message: %w", err)
	}
	defer resp.Body.Close()
	var answer struct{ Hostname string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Sent == nil {
		p.Sent = map[string]int{}
	}
	p.Sent[answer.Hostname]++
	return nil
}

// endpoints are the ready endpoints of a Service as URLs.
func (a *app) endpoints(ctx context.Context, namespace, service string) ([]string, error) {
	data, _, err := a.fetch(ctx, "/api/v1/namespaces/"+namespace+"/endpoints/"+service)
	if err != nil {
		return nil, err
	}
	var object struct {
		Subsets []struct {
			Addresses []struct{ IP string }
			Ports     []struct{ Port int }
		}
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("decode endpoints: %w", err)
	}
	var out []string
	for _, set := range object.Subsets {
		for _, address := range set.Addresses {
			for _, port := range set.Ports {
				out = append(out, "http://"+net.JoinHostPort(address.IP, strconv.Itoa(port.Port)))
			}
		}
	}
	return out, nil
}
