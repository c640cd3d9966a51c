package shell

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
)

// systemRoots are the certificate authorities that clients trust when they are told of no others.
const systemRoots = "/etc/ssl/certs/ca-certificates.crt"

// roots reads certificate authorities; a file that cannot be read or has none is an error.
func (c *command) roots(file string) (*x509.CertPool, error) {
	text, err := program.ReadFile(c.sys.Files, file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificates: %s has none", file)
	}
	return pool, nil
}

// httpClient speaks HTTP over the container's network. A nil roots are the system's.
func (c *command) httpClient(insecure bool, connect time.Duration, roots *x509.CertPool) *http.Client {
	config := &tls.Config{InsecureSkipVerify: insecure, RootCAs: roots}
	if roots == nil {
		config.RootCAs, _ = c.roots(systemRoots)
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if connect > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, connect)
					defer cancel()
				}
				return c.sys.Net.DialContext(ctx, network, address)
			},
			TLSClientConfig: config, DisableKeepAlives: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// curlLong are curl's long options, by the short one that stands for them here. Capital letters that curl does not have
// as short options are ours: T (max-time is m), K connect-timeout, Q retry, J json, E cacert, B interface.
var curlLong = map[string]string{
	"silent": "s", "show-error": "S", "include": "i", "head": "I", "verbose": "v", "request": "X", "header": "H", "data": "d",
	"data-raw": "d", "data-binary": "d", "output": "o", "write-out": "w", "insecure": "k", "location": "L", "max-time": "m",
	"connect-timeout": "K", "fail": "f", "user": "u", "user-agent": "A", "get": "G", "retry": "Q", "json": "J", "cacert": "E",
	"no-progress-meter": "s", "compressed": "Z", "url": "U", "http1.1": "Z", "fail-with-body": "f", "data-urlencode": "D",
	"interface": "B",
}

func curl(c *command) int {
	f, ok := c.parse("sSiIvX:H:d:o:w:kLm:K:fu:A:GQ:J:E:ZU:gqND:B:", curlLong)
	if !ok {
		return codeUsage
	}
	urls := append(f.rest, f.values["U"]...)
	if len(urls) == 0 {
		return c.fail(codeUsage, "no URL specified")
	}
	code := 0
	for _, u := range urls {
		code = max(code, c.curlOne(f, u))
	}
	return code
}

const (
	// codeInterface is curl's exit code for an interface that it cannot bind to.
	codeInterface = 45
	// codeCAFile is curl's exit code for authorities that cannot be read.
	codeCAFile = 77
)

// hasInterface says whether the pod has an interface of that name or an address. Which of its addresses a packet carries is the network's choice:
// there is one for each destination.
func (c *command) hasInterface(name string) bool {
	own, _ := c.sys.Net.LookupHost(c.ctx, c.sys.Hostname)
	return slices.Contains(append(own, "lo", "eth0", "127.0.0.1"), name)
}

func (c *command) curlOne(f flags, target string) int {
	seconds := func(name string) time.Duration {
		v, err := strconv.ParseFloat(f.value(name, "0"), 64)
		if err != nil {
			return 0
		}
		return time.Duration(v * float64(time.Second))
	}
	ctx := c.ctx
	if limit := seconds("m"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	req, err := c.curlRequest(ctx, f, target)
	if err != nil {
		return c.fail(3, "(3) URL rejected: %v", err)
	}
	var roots *x509.CertPool
	if file := f.value("E", ""); file != "" {
		if roots, err = c.roots(file); err != nil {
			return c.fail(codeCAFile, "(%d) error setting certificate verify locations:  CAfile: %s", codeCAFile, file)
		}
	}
	if name := f.value("B", ""); name != "" && !c.hasInterface(name) {
		return c.fail(codeInterface, "(%d) Couldn't bind to '%s'", codeInterface, name)
	}
	client := c.httpClient(f.has("k"), seconds("K"), roots)
	if f.has("L") {
		client.CheckRedirect = nil
	}
	if f.has("v") {
		fmt.Fprintf(c.err, "> %s %s HTTP/1.1\n> Host: %s\n>\n", req.Method, req.URL.RequestURI(), req.URL.Host)
	}
	start := c.sys.Clock.Now()
	resp, err := client.Do(req)
	if err != nil {
		code, message := curlFailure(err, req.URL)
		if !f.has("s") || f.has("S") {
			c.fail(code, "(%d) %s", code, message)
		}
		c.writeOut(f, nil, 0, c.sys.Clock.Since(start))
		return code
	}
	defer resp.Body.Close()
	return c.curlResponse(f, resp, start)
}

func (c *command) curlRequest(ctx context.Context, f flags, target string) (*http.Request, error) {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	data := append(f.values["d"], f.values["J"]...)
	for _, pair := range f.values["D"] {
		k, v, _ := strings.Cut(pair, "=")
		data = append(data, k+"="+url.QueryEscape(v))
	}
	body := strings.Join(data, "&")
	if strings.HasPrefix(body, "@") {
		in, err := c.open(body[1:])
		if err != nil {
			return nil, err
		}
		defer in.Close()
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		body = string(content)
	}
	method := http.MethodGet
	switch {
	case f.has("I"):
		method = http.MethodHead
	case f.has("G"):
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		target, body = target+sep+body, ""
	case len(data) > 0:
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, f.value("X", method), target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", f.value("A", "curl/8.5.0"))
	req.Header.Set("Accept", "*/*")
	if len(data) > 0 && !f.has("G") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if f.has("J") {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range f.values["H"] {
		name, value, _ := strings.Cut(h, ":")
		setHeader(req, name, value)
	}
	if user, password, ok := strings.Cut(f.value("u", ""), ":"); ok {
		req.SetBasicAuth(user, password)
	}
	return req, nil
}

func (c *command) curlResponse(f flags, resp *http.Response, start time.Time) int {
	out, to := c.out, f.value("o", "-")
	switch to {
	case "-":
	case "/dev/null":
		out = io.Discard
	default:
		file, err := c.sys.Files.OpenFile(c.abs(to), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return c.fail(23, "(23) %s: %s", to, reason(err))
		}
		defer file.Close()
		out = file
	}
	if f.has("v") {
		fmt.Fprintf(c.err, "< HTTP/%d.%d %s\n", resp.ProtoMajor, resp.ProtoMinor, resp.Status)
		for _, line := range headerLines(resp.Header) {
			fmt.Fprintf(c.err, "< %s\n", line)
		}
		fmt.Fprintln(c.err, "<")
	}
	if f.has("i") || f.has("I") {
		fmt.Fprintf(out, "HTTP/%d.%d %s\r\n", resp.ProtoMajor, resp.ProtoMinor, resp.Status)
		_ = resp.Header.Write(out)
		fmt.Fprint(out, "\r\n")
	}
	code := 0
	var n int64
	if f.has("f") && resp.StatusCode >= http.StatusBadRequest {
		code = 22
		if !f.has("s") || f.has("S") {
			c.fail(code, "(22) The requested URL returned error: %d", resp.StatusCode)
		}
	} else {
		var err error
		if n, err = io.Copy(out, resp.Body); err != nil {
			var message string
			code, message = curlFailure(err, resp.Request.URL)
			if code == 7 {
				code, message = 56, "Recv failure: "+netReason(err)
			}
			c.fail(code, "(%d) %s", code, message)
		}
	}
	c.writeOut(f, resp, n, c.sys.Clock.Since(start))
	return code
}

// headerLines are the headers in the order of their names.
func headerLines(header http.Header) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lines = append(lines, name+": "+strings.Join(header[name], ", "))
	}
	return lines
}

// writeOut is -w.
func (c *command) writeOut(f flags, resp *http.Response, size int64, took time.Duration) {
	if !f.has("w") {
		return
	}
	status, kind := 0, ""
	if resp != nil {
		status, kind = resp.StatusCode, resp.Header.Get("Content-Type")
	}
	c.printf("%s", strings.NewReplacer(
		"%{http_code}", fmt.Sprintf("%03d", status), "%{response_code}", fmt.Sprintf("%03d", status),
		"%{time_total}", fmt.Sprintf("%.6f", took.Seconds()), "%{time_starttransfer}", fmt.Sprintf("%.6f", took.Seconds()),
		"%{size_download}", strconv.FormatInt(size, 10), "%{content_type}", kind, `\n`, "\n", `\t`, "\t", "%%", "%",
	).Replace(f.value("w", "")))
}

// curlFailure is curl's exit code and words for an error.
func curlFailure(err error, u *url.URL) (int, string) {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	port := cmp.Or(u.Port(), map[string]string{"https": "443"}[u.Scheme], "80")
	switch {
	case errors.As(err, &dns):
		return 6, "Could not resolve host: " + u.Hostname()
	case errors.As(err, &cert):
		return 60, "SSL certificate problem: " + cert.Err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return 28, "Operation timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 52, "Empty reply from server"
	}
	return 7, fmt.Sprintf("Failed to connect to %s port %s: %s", u.Hostname(), port, netReason(err))
}
