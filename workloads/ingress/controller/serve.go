package controller

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/random"
)

// serve answers one request.
func (c *Controller) serve(w http.ResponseWriter, r *http.Request, secure bool) {
	began := c.Clock.Now()
	t := c.table.Load()
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	s, found := t.match(host, r.URL.Path)
	answer := &recorder{ResponseWriter: w}
	e := &exchange{route: found, secure: secure, id: requestID(r)}
	switch {
	case found == nil:
		fail(answer, http.StatusNotFound)
	case !secure && (found.settings.force || s.secure && found.settings.redirect):
		answer.Header().Set("Location", "https://"+host+r.URL.RequestURI())
		fail(answer, http.StatusPermanentRedirect)
	case found.settings.bodyLimit > 0 && r.ContentLength > found.settings.bodyLimit:
		fail(answer, http.StatusRequestEntityTooLarge)
	case len(found.backend.endpoints) == 0:
		fail(answer, http.StatusServiceUnavailable)
	default:
		if found.settings.bodyLimit > 0 && r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(answer, r.Body, found.settings.bodyLimit)
		}
		if secure && s.secure {
			answer.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		defer func() {
			// The reverse proxy ends a response that it cannot finish by a panic, which the server expects.
			broken := recover()
			c.done(r, e, answer, began)
			if broken != nil {
				panic(broken)
			}
		}()
		c.proxy.reverse.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e)))
		return
	}
	c.done(r, e, answer, began)
}

// done counts and logs a request, in ingress-nginx's format.
func (c *Controller) done(r *http.Request, e *exchange, answer *recorder, began time.Time) {
	took := c.Clock.Since(began)
	c.metrics.served(e.route, method(r.Method), answer.status, took)
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	name, upstream := "", "-"
	if e.route != nil {
		name = e.route.backend.name()
	}
	if e.upstream != "" {
		upstream = e.upstream
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	fmt.Fprintf(c.AccessLog, "%s - - [%s] %q %d %d %q %q %d %.3f [%s] [] %s %d %.3f %d %s\n", client, began.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		r.Method+" "+r.URL.RequestURI()+" "+r.Proto, answer.status, answer.size, dash(r.Referer()), dash(r.UserAgent()), max(r.ContentLength, 0), took.Seconds(),
		name, upstream, answer.size, took.Seconds(), answer.status, e.id)
	if e.err != nil {
		c.Log.Error("request failed", "client", client, "host", r.Host, "path", r.URL.Path, "upstream", upstream, "err", e.err)
	}
}

// method is a request's method as a label: what clients make up is all one.
func method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE":
		return m
	}
	return "OTHER"
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	size   int64
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.size += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// requestID is what the client calls its request, or a new name.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-ID"); id != "" {
		return id
	}
	return random.Hex(16)
}

// fail answers with nginx's page for a status.
func fail(w http.ResponseWriter, status int) {
	text := http.StatusText(status)
	switch status {
	case http.StatusServiceUnavailable:
		text = "Service Temporarily Unavailable"
	case http.StatusGatewayTimeout:
		text = "Gateway Time-out"
	case statusClientClosed:
		text = "Client Closed Request"
	}
	page := fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
		status, text, status, text)
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page)
}
