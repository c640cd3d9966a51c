package cache

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	redis "github.com/alicebob/miniredis/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/procmetrics"
)

// entryOverhead is roughly what Redis itself spends on a key with an expiry, in bytes.
const entryOverhead = 96

// server is the engine with configuration, memory limit and statistics.
type server struct {
	engine   *miniredis.Miniredis
	settings *settings
	clock    clock.WithTicker
	started  time.Time

	memory       atomic.Int64
	keys         atomic.Int64
	evicted      atomic.Int64
	hits, misses atomic.Int64
	authFailures atomic.Int64
	full         atomic.Bool

	mu sync.Mutex
	// used is when a key was last read or written.
	used map[string]time.Time
}

// start starts the engine without a listener: connections are handed to it.
func (s *server) start() error {
	if password, _ := s.settings.get("requirepass"); password != "" {
		s.engine.RequireAuth(password)
	}
	// Dial starts the engine; its connection is not needed.
	conn, err := s.engine.Dial()
	if err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	s.engine.Server().SetPreHook(s.before)
	return s.engine.Server().Register("CONFIG", s.config)
}

// writes are the commands that need memory.
func writes(cmd string) bool {
	switch cmd {
	case "SET", "SETEX", "PSETEX", "SETNX", "MSET", "GETSET", "APPEND", "INCR", "INCRBY", "DECR", "DECRBY", "HSET", "HMSET", "HSETNX",
		"LPUSH", "RPUSH", "SADD", "ZADD", "XADD", "SETRANGE":
		return true
	}
	return false
}

// before sees every command first; true means that it has been answered.
func (s *server) before(c *redis.Peer, cmd string, args ...string) bool {
	switch {
	case cmd == "INFO":
		if s.refused(c) {
			return true
		}
		section := "default"
		if len(args) > 0 {
			section = strings.ToLower(args[0])
		}
		c.WriteBulk(s.info(section))
		return true
	case cmd == "AUTH":
		password, _ := s.settings.get("requirepass")
		if len(args) > 0 && password != "" && args[len(args)-1] != password {
			s.authFailures.Add(1)
		}
	case writes(cmd) && s.full.Load():
		c.WriteError("OOM command not allowed when used memory > 'maxmemory'.")
		return true
	}
	s.note(cmd, args)
	return false
}

// note keeps the statistics of reads and the times of use.
func (s *server) note(cmd string, args []string) {
	var keys []string
	read := false
	switch cmd {
	case "GET", "HGET", "HGETALL":
		keys, read = args[:min(1, len(args))], true
	case "MGET":
		keys, read = args, true
	case "SET", "SETEX", "PSETEX":
		keys = args[:min(1, len(args))]
	default:
		return
	}
	now := s.clock.Now()
	db := s.engine.DB(0)
	for _, key := range keys {
		if read && !db.Exists(key) {
			s.misses.Add(1)
			continue
		}
		if read {
			s.hits.Add(1)
		}
		s.mu.Lock()
		s.used[key] = now
		s.mu.Unlock()
	}
}

// refused answers and returns true when the peer has not authenticated. The engine knows; a harmless command asks it.
func (s *server) refused(c *redis.Peer) bool {
	var answer bytes.Buffer
	probe := redis.NewPeer(bufio.NewWriter(&answer))
	probe.Ctx = c.Ctx
	s.engine.Server().Dispatch(probe, []string{"DBSIZE"})
	probe.Flush()
	if !strings.HasPrefix(answer.String(), "-NOAUTH") {
		return false
	}
	c.WriteError("NOAUTH Authentication required.")
	return true
}

// config is CONFIG GET, SET and RESETSTAT.
func (s *server) config(c *redis.Peer, _ string, args []string) {
	if s.refused(c) {
		return
	}
	switch sub := strings.ToUpper(strings.Join(args[:min(1, len(args))], "")); {
	case sub == "GET" && len(args) >= 2:
		var found []string
		for _, pattern := range args[1:] {
			found = append(found, s.settings.match(pattern)...)
		}
		c.WriteStrings(found)
	case sub == "SET" && len(args) >= 3 && len(args)%2 == 1:
		for i := 1; i < len(args); i += 2 {
			if err := s.settings.set(args[i], args[i+1]); err != nil {
				c.WriteError("ERR CONFIG SET failed - " + err.Error())
				return
			}
			if strings.EqualFold(args[i], "requirepass") {
				s.engine.RequireAuth(args[i+1])
			}
		}
		s.housekeep()
		c.WriteOK()
	case sub == "RESETSTAT":
		for _, n := range []*atomic.Int64{&s.hits, &s.misses, &s.evicted, &s.authFailures} {
			n.Store(0)
		}
		c.WriteOK()
	default:
		c.WriteError("ERR unknown subcommand or wrong number of arguments for 'CONFIG'. Try CONFIG GET pattern or CONFIG SET name value.")
	}
}

// housekeep measures the memory and evicts what is beyond the limit.
func (s *server) housekeep() {
	db := s.engine.DB(0)
	keys := db.Keys()
	sizes := make(map[string]int64, len(keys))
	var total int64
	for _, key := range keys {
		size := int64(len(key) + entryOverhead)
		if value, err := db.Get(key); err == nil {
			size += int64(len(value))
		}
		sizes[key] = size
		total += size
	}
	s.mu.Lock()
	for key := range s.used {
		if _, ok := sizes[key]; !ok {
			delete(s.used, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return s.used[a].Compare(s.used[b]) })
	s.mu.Unlock()
	limit := s.settings.maxMemory()
	policy, _ := s.settings.get("maxmemory-policy")
	if limit > 0 && policy != "noeviction" {
		for _, key := range keys {
			if total <= limit {
				break
			}
			if strings.HasPrefix(policy, "volatile") && db.TTL(key) == 0 {
				continue
			}
			if db.Del(key) {
				s.evicted.Add(1)
				total -= sizes[key]
				delete(sizes, key)
			}
		}
	}
	s.memory.Store(total)
	s.keys.Store(int64(len(sizes)))
	s.full.Store(limit > 0 && total > limit)
}

// info is the text of INFO for one section, "default" or "all".
func (s *server) info(section string) string {
	policy, _ := s.settings.get("maxmemory-policy")
	port, _ := s.settings.get("port")
	engine := s.engine.Server()
	var b strings.Builder
	add := func(name, format string, args ...any) {
		if section == "default" || section == "all" || section == "everything" || section == name {
			fmt.Fprintf(&b, "# %s\r\n%s\r\n", strings.ToUpper(name[:1])+name[1:], strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n"))
		}
	}
	add("server", "redis_version:%s\nredis_mode:standalone\ntcp_port:%s\nuptime_in_seconds:%d\n", Version, port, int64(s.clock.Since(s.started).Seconds()))
	add("clients", "connected_clients:%d\n", engine.ClientsLen())
	add("memory", "used_memory:%d\nmaxmemory:%d\nmaxmemory_policy:%s\n", s.memory.Load(), s.settings.maxMemory(), policy)
	add("stats", "total_connections_received:%d\ntotal_commands_processed:%d\nkeyspace_hits:%d\nkeyspace_misses:%d\nevicted_keys:%d\nacl_access_denied_auth:%d\n",
		engine.TotalConnections(), engine.TotalCommands(), s.hits.Load(), s.misses.Load(), s.evicted.Load(), s.authFailures.Load())
	add("replication", "role:master\nconnected_slaves:0\n")
	add("keyspace", "db0:keys=%d\n", len(s.engine.DB(0).Keys()))
	return b.String()
}

// registry holds the metrics under the names of the usual exporter.
func (s *server) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
	}
	load := func(n *atomic.Int64) func() float64 { return func() float64 { return float64(n.Load()) } }
	gauge("redis_up", "Whether the server answers.", func() float64 { return 1 })
	gauge("redis_connected_clients", "Connected clients.", func() float64 { return float64(s.engine.Server().ClientsLen()) })
	gauge("redis_memory_used_bytes", "Memory used by keys and values.", load(&s.memory))
	gauge("redis_memory_max_bytes", "The limit of the memory; 0 means none.", func() float64 { return float64(s.settings.maxMemory()) })
	gauge("redis_db_keys", "Number of keys.", load(&s.keys))
	counter("redis_commands_processed_total", "Commands processed.", func() float64 { return float64(s.engine.Server().TotalCommands()) })
	counter("redis_connections_received_total", "Connections accepted.", func() float64 { return float64(s.engine.Server().TotalConnections()) })
	counter("redis_keyspace_hits_total", "Reads that found their key.", load(&s.hits))
	counter("redis_keyspace_misses_total", "Reads that did not find their key.", load(&s.misses))
	counter("redis_evicted_keys_total", "Keys evicted because of the memory limit.", load(&s.evicted))
	counter("redis_acl_access_denied_auth_total", "Attempts to authenticate with a wrong password.", load(&s.authFailures))
	r.MustRegister(procmetrics.New())
	return r
}
