package chaosdaemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/tproxyconfig"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// errAbort ends the connection without an answer.
var errAbort = errors.New("aborted")

// httpRule is one rule, checked and compiled.
type httpRule struct {
	response bool
	selector tproxyconfig.PodHttpChaosSelector
	path     *regexp.Regexp // nil: any
	delay    time.Duration
	actions  tproxyconfig.PodHttpChaosActions
}

func httpRules(raw []tproxyconfig.PodHttpChaosBaseRule) ([]httpRule, error) {
	rules := make([]httpRule, 0, len(raw))
	for i, in := range raw {
		rule := httpRule{selector: in.Selector, actions: in.Actions}
		switch in.Target {
		case "Request":
		case "Response":
			rule.response = true
		default:
			return nil, fmt.Errorf("rule %d: unknown target %q (Request, Response)", i, in.Target)
		}
		if in.Selector.Path != nil {
			rule.path = wildcard(*in.Selector.Path)
		}
		if in.Actions.Delay != nil {
			d, err := time.ParseDuration(*in.Actions.Delay)
			if err != nil || d < 0 {
				return nil, fmt.Errorf("rule %d: read delay %q: want a duration, for example 300ms", i, *in.Actions.Delay)
			}
			rule.delay = d
		}
		if p := in.Actions.Patch; p != nil {
			if p.Body != nil && p.Body.Contents.Type != "JSON" {
				return nil, fmt.Errorf("rule %d: patch body of type %q is not supported (JSON)", i, p.Body.Contents.Type)
			}
			for _, pair := range append(append([][]string{}, p.Queries...), p.Headers...) {
				if len(pair) != 2 {
					return nil, fmt.Errorf("rule %d: patch %v: want a name and a value", i, pair)
				}
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// wildcard compiles a path pattern: * is any text, ? any one character.
func wildcard(pattern string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`^` + quoted + `$`)
}

// original is a request as it came in: rules select by it whatever other rules have changed since.
type original struct {
	port   uint16
	path   string
	method string
	header http.Header
}

func (r httpRule) selects(o original) bool {
	s := r.selector
	if s.Port != nil && *s.Port != int32(o.port) || s.Method != nil && *s.Method != o.method {
		return false
	}
	return (r.path == nil || r.path.MatchString(o.path)) && hasHeaders(o.header, s.RequestHeaders)
}

func (r httpRule) selectsResponse(o original, resp *http.Response) bool {
	s := r.selector
	return r.selects(o) && (s.Code == nil || int(*s.Code) == resp.StatusCode) && hasHeaders(resp.Header, s.ResponseHeaders)
}

func hasHeaders(have http.Header, want map[string]string) bool {
	for name, value := range want {
		found := false
		for _, v := range have.Values(name) {
			found = found || v == value
		}
		if !found {
			return false
		}
	}
	return true
}

// begin does what comes before any change: the delay and the abort.
func (r httpRule) begin(ctx context.Context) error {
	if r.actions.Abort != nil && *r.actions.Abort {
		return errAbort
	}
	if r.delay == 0 {
		return nil
	}
	timer := time.NewTimer(r.delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (r httpRule) changeRequest(req *http.Request) error {
	if p := r.actions.Replace; p != nil {
		if p.Path != nil {
			if err := setPath(req.URL, *p.Path); err != nil {
				return err
			}
		}
		if p.Method != nil {
			req.Method = *p.Method
		}
		setQueries(req.URL, p.Queries)
		for name, value := range p.Headers {
			req.Header.Set(name, value)
		}
		if p.Body != nil {
			_ = req.Body.Close() // what it held is replaced
			req.Body, req.ContentLength = setBody(req.Header, []byte(p.Body.Contents.Value))
		}
	}
	if p := r.actions.Patch; p != nil {
		query := req.URL.Query()
		for _, pair := range p.Queries {
			query.Add(pair[0], pair[1])
		}
		if len(p.Queries) > 0 {
			req.URL.RawQuery = query.Encode()
		}
		for _, pair := range p.Headers {
			req.Header.Add(pair[0], pair[1])
		}
		if p.Body != nil {
			body, err := mergeBody(req.Body, p.Body.Contents.Value)
			if err != nil {
				return err
			}
			req.Body, req.ContentLength = setBody(req.Header, body)
		}
	}
	return nil
}

func (r httpRule) changeResponse(resp *http.Response) error {
	if p := r.actions.Replace; p != nil {
		if p.Code != nil {
			resp.StatusCode = int(*p.Code)
			resp.Status = strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)
		}
		for name, value := range p.Headers {
			resp.Header.Set(name, value)
		}
		if p.Body != nil {
			_ = resp.Body.Close() // what it held is replaced
			resp.Body, resp.ContentLength = setBody(resp.Header, []byte(p.Body.Contents.Value))
		}
	}
	if p := r.actions.Patch; p != nil {
		for _, pair := range p.Headers {
			resp.Header.Add(pair[0], pair[1])
		}
		if p.Body != nil {
			body, err := mergeBody(resp.Body, p.Body.Contents.Value)
			if err != nil {
				return err
			}
			resp.Body, resp.ContentLength = setBody(resp.Header, body)
		}
	}
	return nil
}

func setPath(u *url.URL, path string) error {
	next, err := url.ParseRequestURI(path)
	if err != nil {
		return fmt.Errorf("replace path: %w", err)
	}
	u.Path, u.RawPath = next.Path, next.RawPath
	if next.RawQuery != "" {
		u.RawQuery = next.RawQuery
	}
	return nil
}

func setQueries(u *url.URL, queries map[string]string) {
	if len(queries) == 0 {
		return
	}
	values := u.Query()
	for name, value := range queries {
		values.Set(name, value)
	}
	u.RawQuery = values.Encode()
}

func setBody(header http.Header, body []byte) (io.ReadCloser, int64) {
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Del("Transfer-Encoding")
	return io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// mergeBody applies a JSON merge patch (RFC 7396). A body that is no JSON object is replaced, as the RFC says of what is
// not an object.
func mergeBody(body io.ReadCloser, patch string) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read body to patch: %w", err)
	}
	merged, err := jsonpatch.MergePatch(data, []byte(patch))
	if err == nil {
		return merged, nil
	}
	if merged, err = jsonpatch.MergePatch([]byte("{}"), []byte(patch)); err != nil {
		return nil, fmt.Errorf("patch body: %w", err)
	}
	return merged, nil
}
