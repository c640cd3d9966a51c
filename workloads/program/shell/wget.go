package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
)

// wgetLong are wget's long options, by the short one that stands for them. Those that wget has no short option for have signs.
var wgetLong = map[string]string{
	"quiet": "q", "output-document": "O", "directory-prefix": "P", "server-response": "S", "timeout": "T", "spider": "s", "tries": "t",
	"user-agent": "U", "no-check-certificate": "!", "header": "@", "post-data": "%", "post-file": "=",
}

const wgetUsage = "want [-q] [-S] [-O FILE] [-P DIR] [-T SECONDS] [-U AGENT] [--spider] [--header LINE]... [--post-data TEXT | --post-file FILE] URL"

// wget fetches one address into a file, or to the standard output with -O -.
func wget(c *command) int {
	f, ok := c.parse("qO:P:ST:st:U:!@:%:=:", wgetLong)
	if !ok || len(f.rest) != 1 {
		return c.fail(1, wgetUsage)
	}
	ctx := c.ctx
	if limit, ok := duration(f.value("T", "")); ok && limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	req, err := c.wgetRequest(ctx, f)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	client := c.httpClient(f.has("!"), 0, nil)
	client.CheckRedirect = nil
	resp, err := client.Do(req)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return c.fail(1, "bad address '%s'", req.URL.Host)
		}
		return c.fail(1, "can't connect to remote host (%s): %s", req.URL.Host, netReason(err))
	}
	defer resp.Body.Close()
	if f.has("S") {
		fmt.Fprintf(c.err, "  HTTP/%d.%d %s\n", resp.ProtoMajor, resp.ProtoMinor, resp.Status)
		for _, line := range headerLines(resp.Header) {
			fmt.Fprintf(c.err, "  %s\n", line)
		}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return c.fail(1, "server returned error: HTTP/1.1 %s", resp.Status)
	}
	if f.has("s") {
		return 0
	}
	if err := c.wgetSave(f, req.URL.Path, resp.Body); err != nil {
		return c.fail(1, "%s", reason(err))
	}
	return 0
}

// wgetRequest is a GET, or a POST of what --post-data or --post-file gives.
func (c *command) wgetRequest(ctx context.Context, f flags) (*http.Request, error) {
	target := f.rest[0]
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	method, body := http.MethodGet, f.value("%", "")
	if f.has("%") || f.has("=") {
		method = http.MethodPost
	}
	if f.has("=") {
		if f.has("%") {
			return nil, errors.New("--post-data and --post-file exclude each other")
		}
		text, err := c.readSaying(f.value("=", ""))
		if err != nil {
			return nil, fmt.Errorf("can't open '%s': %w", f.value("=", ""), err)
		}
		body = text
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("bad address '%s'", f.rest[0])
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("User-Agent", f.value("U", "Wget"))
	for _, line := range f.values["@"] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("bad header '%s': want NAME: VALUE", line)
		}
		setHeader(req, name, value)
	}
	return req, nil
}

// setHeader sets a header; Host is not one of Go's.
func setHeader(req *http.Request, name, value string) {
	value = strings.TrimSpace(value)
	if strings.EqualFold(name, "host") {
		req.Host = value
		return
	}
	req.Header.Set(name, value)
}

// wgetSave writes a body to the file of -O, or to one in the directory of -P that is called as the last part of the address.
func (c *command) wgetSave(f flags, from string, body io.Reader) error {
	name := f.value("O", "")
	if name == "-" {
		_, err := io.Copy(c.out, body)
		return err
	}
	if name == "" {
		if name = path.Base(from); name == "/" || name == "." {
			name = "index.html"
		}
		name = path.Join(f.value("P", ""), name)
	}
	file, err := c.sys.Files.OpenFile(c.abs(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	return errors.Join(err, file.Close())
}
