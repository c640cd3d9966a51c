package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Pool and timeouts of a SQL store. Connections are short-lived so that a store that moved is found again.
const (
	sqlPoolSize     = 16
	sqlIdle         = 6
	sqlLifetime     = 8 * time.Second
	sqlIdleTime     = 10 * time.Second
	sqlTimeout      = 1500 * time.Millisecond
	sqlRetries      = 2
	sqlRetryPause   = 20 * time.Millisecond
	mysqlDeadlock   = 1213
	mysqlLockWait   = 1205
	mysqlDuplicate  = 1062
	mysqlTransport  = "pod"
	systemMySQL     = "mysql"
	attributeSystem = "db.system.name"
)

// DB is a SQL store with its pool. Every operation has a span, a duration and a timeout.
type DB struct {
	service *Service
	pool    *sql.DB
	attrs   []attribute.KeyValue
	timeout time.Duration
	size    int
}

// OpenDB opens the store that DB_ADDR, DB_USER, DB_PASSWORD and DB_NAME describe. It does not connect.
func (s *Service) OpenDB() (*DB, error) {
	timeout, err := s.Duration("DB_TIMEOUT", sqlTimeout)
	if err != nil {
		return nil, err
	}
	size, err := s.Int("DB_POOL_SIZE", sqlPoolSize)
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = s.Setting("DB_USER", s.Name), s.Sys.Getenv("DB_PASSWORD"), s.Setting("DB_NAME", s.Name)
	cfg.Net, cfg.Addr = mysqlTransport, s.Setting("DB_ADDR", "mysql-"+s.Name+":3306")
	cfg.DialFunc = func(ctx context.Context, _, address string) (net.Conn, error) {
		return s.Sys.Net.DialContext(ctx, "tcp", address)
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, 2*timeout, 2*timeout
	cfg.InterpolateParams = true
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure store: %w", err)
	}
	host, _, _ := strings.Cut(cfg.Addr, ":")
	db := &DB{service: s, pool: sql.OpenDB(connector), timeout: timeout, size: size, attrs: []attribute.KeyValue{
		attribute.String(attributeSystem, systemMySQL), attribute.String("db.namespace", cfg.DBName), attribute.String("server.address", host),
		attribute.String("peer.service", host),
	}}
	db.pool.SetMaxOpenConns(size)
	db.pool.SetMaxIdleConns(sqlIdle)
	db.pool.SetConnMaxLifetime(sqlLifetime)
	db.pool.SetConnMaxIdleTime(sqlIdleTime)
	db.gauges(s.metrics, cfg.DBName)
	s.onClose(func() { db.pool.Close() })
	return db, nil
}

func (db *DB) gauges(m *metrics, pool string) {
	count := func(state string, value func() float64) {
		m.gauge("db_client_connection_count", "Connections of the pool by state.",
			prometheus.Labels{"db_client_connection_pool_name": pool, "db_client_connection_state": state}, value)
	}
	count("used", func() float64 { return float64(db.pool.Stats().InUse) })
	count("idle", func() float64 { return float64(db.pool.Stats().Idle) })
	labels := prometheus.Labels{"db_client_connection_pool_name": pool}
	m.gauge("db_client_connection_max", "Largest number of connections of the pool.", labels, func() float64 { return float64(db.size) })
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "db_client_connection_waits_total",
			Help: "Operations that waited for a connection.", ConstLabels: labels},
			func() float64 { return float64(db.pool.Stats().WaitCount) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "db_client_connection_wait_seconds_total",
			Help: "Time spent waiting for a connection.", ConstLabels: labels},
			func() float64 { return db.pool.Stats().WaitDuration.Seconds() }))
}

// Ready says whether the store accepts connections.
func (db *DB) Ready(ctx context.Context) error { return db.pool.PingContext(ctx) }

// Query runs a SELECT and calls scan for every row. A connection that was lost before the query is tried once more by
// database/sql. name is a short, fixed summary of the query.
func (db *DB) Query(ctx context.Context, name, query string, args []any, scan func(rows *sql.Rows) error) error {
	return db.do(ctx, "SELECT", name, query, func(ctx context.Context) error {
		rows, err := db.pool.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Transaction runs f in a transaction, and again when the store chose it as the victim of a deadlock: nothing of it has
// happened then.
func (db *DB) Transaction(ctx context.Context, name string, f func(ctx context.Context, tx *sql.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := db.do(ctx, "TRANSACTION", name, "", func(ctx context.Context) error {
			tx, err := db.pool.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			// After a commit it does nothing; otherwise the error that led here is the one to report.
			defer func() { _ = tx.Rollback() }()
			if err := f(ctx, tx); err != nil {
				return err
			}
			return tx.Commit()
		})
		if !isMySQL(err, mysqlDeadlock) || attempt == sqlRetries {
			return err
		}
		db.service.wait(ctx, sqlRetryPause<<attempt)
	}
}

func (db *DB) do(ctx context.Context, operation, name, query string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	attrs := append(db.attrs[:len(db.attrs):len(db.attrs)], attribute.String("db.operation.name", operation), attribute.String("db.query.summary", name))
	if query != "" {
		attrs = append(attrs, attribute.String("db.query.text", query))
	}
	ctx, span := db.service.traces.span(ctx, name, attrs...)
	start := db.service.Sys.Clock.Now()
	err := f(ctx)
	failure := err
	if businessError(err) {
		failure = nil
	}
	endSpan(span, failure)
	db.service.metrics.database(systemMySQL, operation, db.service.Sys.Clock.Since(start), mysqlError{failure}.orNil())
	if err == nil || businessError(err) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// businessError says whether err is an answer of the business logic and not a failure of the store.
func businessError(err error) bool {
	code := status.Code(err)
	return err != nil && code != codes.Unknown && !serverFault(code)
}

// mysqlError names a server error by its number in labels.
type mysqlError struct{ error }

func (e mysqlError) orNil() error {
	if e.error == nil {
		return nil
	}
	return e
}

func (e mysqlError) Unwrap() error { return e.error }

func (e mysqlError) ErrorCode() string {
	var my *mysql.MySQLError
	if errors.As(e.error, &my) {
		return fmt.Sprint(my.Number)
	}
	return errorType(e.error)
}

func isMySQL(err error, number uint16) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == number
}

// Duplicate says whether err is a violation of a unique key.
func Duplicate(err error) bool { return isMySQL(err, mysqlDuplicate) }

// In returns "?, ?, ?" for a list, and the list as arguments.
func In(values []string) (string, []any) {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", "), args
}
