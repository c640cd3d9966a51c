package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel/attribute"
)

// Pool and timeouts of a cache. A cache that is slower than the store is no use, so they are short.
const (
	cachePoolSize    = 12
	cacheIdle        = 4
	cacheDialTimeout = 800 * time.Millisecond
	cacheTimeout     = 500 * time.Millisecond
	cacheLifetime    = 8 * time.Second
	systemRedis      = "redis"
)

// Cache is a cache in front of a store (cache-aside). Its failures are logged and counted, and are misses to the caller.
type Cache struct {
	service  *Service
	client   *redis.Client
	attrs    []attribute.KeyValue
	ttl      time.Duration
	failures budget
}

// OpenCache opens the cache that CACHE_ADDR and CACHE_PASSWORD describe; CACHE_TTL is how long entries live. It does not connect.
func (s *Service) OpenCache(ttl time.Duration) (*Cache, error) {
	ttl, err := s.Duration("CACHE_TTL", ttl)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(quiet{})
	address := s.Setting("CACHE_ADDR", "redis-"+s.Name+":6379")
	client := redis.NewClient(&redis.Options{
		Addr: address, Password: s.Sys.Getenv("CACHE_PASSWORD"), Protocol: 2, DisableIdentity: true,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.Sys.Net.DialContext(ctx, network, addr)
		},
		PoolSize: cachePoolSize, MaxIdleConns: cacheIdle, ConnMaxLifetime: cacheLifetime, PoolTimeout: cacheTimeout,
		DialTimeout: cacheDialTimeout, ReadTimeout: cacheTimeout, WriteTimeout: cacheTimeout, DialerRetries: 1, MaxRetries: -1,
		ContextTimeoutEnabled: true, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	host, _, _ := strings.Cut(address, ":")
	c := &Cache{service: s, client: client, ttl: ttl, failures: budget{clock: s.Sys.Clock, limit: failureLines}, attrs: []attribute.KeyValue{
		attribute.String(attributeSystem, systemRedis), attribute.String("server.address", host), attribute.String("peer.service", host),
	}}
	for state, value := range map[string]func() float64{
		"used": func() float64 { st := client.PoolStats(); return float64(st.TotalConns) - float64(st.IdleConns) },
		"idle": func() float64 { return float64(client.PoolStats().IdleConns) },
	} {
		s.metrics.gauge("db_client_connection_count", "Connections of the pool by state.",
			prometheus.Labels{"db_client_connection_pool_name": host, "db_client_connection_state": state}, value)
	}
	s.onClose(func() { client.Close() })
	return c, nil
}

// quiet drops the client library's own log: failures are logged here, once and with their trace.
type quiet struct{}

// Printf implements the library's logger.
func (quiet) Printf(context.Context, string, ...any) {}

// Get returns the values of those keys that are in the cache.
func (c *Cache) Get(ctx context.Context, keys []string) map[string][]byte {
	var values []any
	err := c.do(ctx, "MGET", func(ctx context.Context) error {
		var err error
		values, err = c.client.MGet(ctx, keys...).Result()
		return err
	})
	found := map[string][]byte{}
	for i, v := range values {
		if text, ok := v.(string); ok {
			found[keys[i]] = []byte(text)
		}
	}
	result := c.service.metrics.cache
	if err != nil {
		result.WithLabelValues("error").Add(float64(len(keys)))
		return found
	}
	result.WithLabelValues("hit").Add(float64(len(found)))
	result.WithLabelValues("miss").Add(float64(len(keys) - len(found)))
	return found
}

// Set puts entries into the cache for the cache's time to live.
func (c *Cache) Set(ctx context.Context, entries map[string][]byte) {
	if len(entries) == 0 {
		return
	}
	// The caller has its error already, in the log: an entry that was not stored is read from the store again.
	_ = c.do(ctx, "SET", func(ctx context.Context) error {
		_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for key, value := range entries {
				p.Set(ctx, key, value, c.ttl)
			}
			return nil
		})
		return err
	})
}

// Delete removes keys; the error matters to callers that changed what they stand for.
func (c *Cache) Delete(ctx context.Context, keys ...string) error {
	return c.do(ctx, "DEL", func(ctx context.Context) error { return c.client.Del(ctx, keys...).Err() })
}

func (c *Cache) do(ctx context.Context, operation string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	ctx, span := c.service.traces.span(ctx, operation, append(c.attrs[:len(c.attrs):len(c.attrs)], attribute.String("db.operation.name", operation))...)
	start := c.service.Sys.Clock.Now()
	err := f(ctx)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	endSpan(span, err)
	c.service.metrics.database(systemRedis, operation, c.service.Sys.Clock.Since(start), err)
	if err == nil {
		return nil
	}
	if ok, held := c.failures.take(); ok {
		c.service.Log.WarnContext(ctx, "cache is not usable", "operation", operation, "error", err.Error(), "suppressed", held)
	}
	return fmt.Errorf("cache %s: %w", operation, err)
}

// Through reads values of keys from the cache and, for those that are missing, from load, which it then keeps. load
// returns entries by key; keys without an entry do not exist.
func Through[T any](ctx context.Context, c *Cache, keys []string, load func(ctx context.Context, missing []string) (map[string]T, error)) (map[string]T, error) {
	values := make(map[string]T, len(keys))
	var missing []string
	found := c.Get(ctx, keys)
	for _, key := range keys {
		var v T
		data, ok := found[key]
		if !ok || json.Unmarshal(data, &v) != nil {
			missing = append(missing, key)
			continue
		}
		values[key] = v
	}
	if len(missing) == 0 {
		return values, nil
	}
	loaded, err := load(ctx, missing)
	if err != nil {
		return nil, err
	}
	entries := make(map[string][]byte, len(loaded))
	for key, v := range loaded {
		values[key] = v
		data, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode cache entry: %w", err)
		}
		entries[key] = data
	}
	c.Set(ctx, entries)
	return values, nil
}
