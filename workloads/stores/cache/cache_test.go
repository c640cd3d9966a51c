package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
)

func newSys(t *testing.T, args ...string) *program.Sys {
	t.Helper()
	sys, err := program.System(&Images()[0], args)
	require.NoError(t, err)
	sys.Env, sys.Stdout, sys.Stderr = map[string]string{}, &bytes.Buffer{}, &bytes.Buffer{}
	sys.Stdin = strings.NewReader("")
	return sys
}

// start runs a cache and returns its addresses.
func start(t *testing.T, args ...string) (address, metrics string) {
	t.Helper()
	sys := newSys(t, args...)
	network := &programtest.Loopback{Network: sys.Net}
	ready := make(chan struct{})
	sys.Net, sys.Stdout = network, writer(func(p []byte) {
		if bytes.Contains(p, []byte("Ready to accept")) {
			close(ready)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, sys) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-ready:
	case err := <-done:
		require.NoError(t, err)
		require.Fail(t, "ended")
	}
	return network.Address("tcp:" + Port), network.Address("tcp:" + MetricsPort)
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func connect(t *testing.T, address, password string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: address, Password: password, DisableIdentity: true, Protocol: 2, MaxRetries: -1})
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAuth(t *testing.T) {
	t.Parallel()
	address, _ := start(t, "--requirepass", "secret")
	require.ErrorContains(t, connect(t, address, "").Get(t.Context(), "k").Err(), "NOAUTH")
	require.ErrorContains(t, connect(t, address, "").ConfigGet(t.Context(), "*").Err(), "NOAUTH")
	require.ErrorContains(t, connect(t, address, "").Info(t.Context()).Err(), "NOAUTH")
	require.ErrorContains(t, connect(t, address, "wrong").Get(t.Context(), "k").Err(), "WRONGPASS")
	c := connect(t, address, "secret")
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	require.Equal(t, "v", c.Get(t.Context(), "k").Val())
	require.NoError(t, c.ConfigSet(t.Context(), "requirepass", "other").Err())
	require.ErrorContains(t, connect(t, address, "secret").Get(t.Context(), "k").Err(), "WRONGPASS")
	require.Equal(t, "v", connect(t, address, "other").Get(t.Context(), "k").Val())
	require.Contains(t, connect(t, address, "other").Info(t.Context()).Val(), "acl_access_denied_auth:2")
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	address, _ := start(t)
	c := connect(t, address, "")
	require.NoError(t, c.Set(t.Context(), "short", "v", 200*time.Millisecond).Err())
	require.NoError(t, c.Set(t.Context(), "long", "v", time.Hour).Err())
	require.Equal(t, "v", c.Get(t.Context(), "short").Val())
	require.Eventually(t, func() bool { return errors.Is(c.Get(t.Context(), "short").Err(), redis.Nil) }, 5*time.Second, 20*time.Millisecond)
	require.Equal(t, "v", c.Get(t.Context(), "long").Val())
	require.Less(t, c.TTL(t.Context(), "long").Val(), time.Hour)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("x", 1000)
	fill := func(c *redis.Client, from, to int) error {
		pipe := c.Pipeline()
		for i := from; i < to; i++ {
			pipe.Set(context.Background(), "k"+string(rune('a'+i%26))+strings.Repeat("y", i), value, 0)
		}
		_, err := pipe.Exec(context.Background())
		return err
	}
	t.Run("evicts", func(t *testing.T) {
		address, metrics := start(t, "--maxmemory", "64kb", "--maxmemory-policy", "allkeys-lru")
		c := connect(t, address, "")
		require.NoError(t, c.Set(t.Context(), "old", value, 0).Err())
		require.NoError(t, fill(c, 0, 100))
		require.Eventually(t, func() bool { return c.DBSize(t.Context()).Val() < 64 }, 5*time.Second, 20*time.Millisecond)
		require.ErrorIs(t, c.Get(t.Context(), "old").Err(), redis.Nil, "the one that was used least recently goes first")
		resp, err := http.Get("http://" + metrics + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), "redis_evicted_keys_total")
		require.NotContains(t, string(body), "redis_evicted_keys_total 0")
	})
	t.Run("refuses", func(t *testing.T) {
		address, _ := start(t, "--maxmemory", "64kb")
		c := connect(t, address, "")
		require.NoError(t, fill(c, 0, 100))
		require.Eventually(t, func() bool {
			err := c.Set(t.Context(), "more", value, 0).Err()
			return err != nil && strings.Contains(err.Error(), "OOM")
		}, 5*time.Second, 20*time.Millisecond)
		require.NotZero(t, c.DBSize(t.Context()).Val())
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
		require.NoError(t, c.Set(t.Context(), "more", value, 0).Err())
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	address, _ := start(t, "--requirepass", "p")
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	run := func(args ...string) string {
		sys := newSys(t, append([]string{"-h", host, "-p", port, "-a", "p"}, args...)...)
		require.NoError(t, Client(t.Context(), sys))
		out, ok := sys.Stdout.(*bytes.Buffer)
		require.True(t, ok)
		return out.String()
	}
	require.Equal(t, "PONG\n", run("PING"))
	require.Equal(t, "OK\n", run("SET", "k", "a b"))
	require.Equal(t, "a b\n", run("GET", "k"))
	require.Equal(t, "\"a b\"\n", run("--no-raw", "GET", "k"))
	require.Equal(t, "(nil)\n", run("--no-raw", "GET", "nothing"))
	require.Equal(t, "(integer) 1\n", run("--no-raw", "DEL", "k"))
	require.Equal(t, "1) \"maxmemory\"\n2) \"0\"\n", run("--no-raw", "CONFIG", "GET", "maxmemory"))
	require.Contains(t, run("nonsense"), "ERR unknown command")
	require.Contains(t, run("INFO", "server"), "redis_version:7.4.1")
	require.ErrorContains(t, Client(t.Context(), newSys(t, "--nonsense")), "Unrecognized option")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--maxmemory"}, {"maxmemory", "1"}, {"--nonsense", "1"}, {"--maxmemory", "x"}, {"--maxmemory-policy", "x"}} {
		_, err := parseArgs(args)
		require.Error(t, err, args)
	}
	s, err := parseArgs([]string{"--maxmemory", "16mb", "--port", "7000"})
	require.NoError(t, err)
	require.EqualValues(t, 16<<20, s.maxMemory())
}
