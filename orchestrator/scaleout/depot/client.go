package depot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// How long one call may take: a connection whose other end is gone with its node tells nothing for much longer. An object may have to
// pass a slow line.
const (
	listTimeout   = 30 * time.Second
	objectTimeout = 5 * time.Minute
)

// Client speaks to a depot. It implements blob.Store.
type Client struct {
	base, token string
	http        *http.Client
}

var _ blob.Store = (*Client)(nil)

// NewClient returns the client of the depot at base, a URL without a slash at its end. transport carries the requests; nil means
// http.DefaultTransport.
func NewClient(base, token string, transport http.RoundTripper) *Client {
	return &Client{base: base, token: token, http: &http.Client{Transport: transport}}
}

// Put implements blob.Store.
func (c *Client) Put(ctx context.Context, key string, data []byte) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	header := http.Header{digestHeader: {blob.Digest(data)}, "Content-Type": {"application/octet-stream"}}
	if _, _, err := c.do(ctx, http.MethodPut, objectsPath+key, header, data); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Get implements blob.Store.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	data, header, err := c.do(ctx, http.MethodGet, objectsPath+key, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return data, blob.Verify(key, data, header.Get(digestHeader))
}

// List implements blob.Store.
func (c *Client) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	data, _, err := c.do(ctx, http.MethodGet, keysPath+"?"+url.Values{"prefix": {prefix}}.Encode(), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	var keys []string
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	slices.Sort(keys)
	return keys, nil
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set(tokenHeader, c.token)
	resp, err := c.http.Do(req)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New(err.Error()) // A file with credentials that is missing is not an object that is.
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, blob.MaxSize))
	if err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	if err := verdict(resp, data); err != nil {
		return nil, nil, err
	}
	return data, resp.Header, nil
}

// verdict says what an answer means. What is in between may refuse credentials of its own, the API server's: that it does not know who
// asks may pass, for they can be renewed; that it forbids the way does not.
func verdict(resp *http.Response, body []byte) error {
	text := strings.Join(strings.Fields(string(body[:min(len(body), 300)])), " ")
	ours := resp.Header.Get(markHeader) != ""
	switch code := resp.StatusCode; {
	case code == http.StatusOK && ours, code == http.StatusNoContent && ours:
		return nil
	case code == http.StatusNotFound && ours:
		return fs.ErrNotExist
	case code == http.StatusUnprocessableEntity && ours:
		return fmt.Errorf("the object was damaged on its way: %s", text) // Not for good: it can be sent again.
	case code == http.StatusForbidden, ours && (code == http.StatusUnauthorized || code == http.StatusBadRequest):
		return fmt.Errorf("%w: status %d: %s", blob.ErrRefused, code, text)
	case !ours:
		return fmt.Errorf("the depot does not answer: status %d: %s", code, text)
	}
	return fmt.Errorf("status %d: %s", resp.StatusCode, text)
}
