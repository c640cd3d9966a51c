package appfault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/faults"
)

// SQLSpec is the spec of a fault.yaml of type sql: statements are run in a store that speaks the MySQL protocol.
type SQLSpec struct {
	Store Store `yaml:"store" check:"required"`
	// Inject and Recover are run in order. Both must be repeatable: running one again changes nothing.
	Inject  []string `yaml:"inject" check:"required"`
	Recover []string `yaml:"recover" check:"required"`
	Live    SQLLive  `yaml:"live" check:"required"`
}

// Store is where the statements are run.
type Store struct {
	Namespace string `yaml:"namespace" check:"required"`
	// Service is the store's Service: the statements go to one of its ready pods.
	Service string `yaml:"service" check:"required"`
	Port    int    `yaml:"port" check:"required,min=1"`
	User    string `yaml:"user" check:"required"`
	// Secret and Key hold the user's password.
	Secret string `yaml:"secret" check:"required"`
	Key    string `yaml:"key" check:"required"`
}

// SQLLive is the predicate: the fault is live while no row of Query matches Without, a regular expression over the row's
// columns joined by tabs.
type SQLLive struct {
	Query   string `yaml:"query" check:"required"`
	Without string `yaml:"without" check:"required"`
}

// stateInjected is the key of faults.Env.State that says that statements were run.
const stateInjected = "injected"

// sqlTimeout bounds all statements of one call, connecting included.
const sqlTimeout = 15 * time.Second

type statements struct {
	SQLSpec
	good *regexp.Regexp
	// open connects to the store as its user.
	open func(ctx context.Context, env faults.Env, store Store) (*sql.DB, func(), error)
}

var _ faults.Fault = (*statements)(nil)

// NewSQL is the constructor of type sql.
func NewSQL(s faults.Spec) (faults.Fault, error) {
	f := &statements{open: open}
	if err := s.Decode(&f.SQLSpec); err != nil {
		return nil, err
	}
	var err error
	if f.good, err = regexp.Compile(f.Live.Without); err != nil {
		return nil, s.Fail("live.without", "%v", err)
	}
	return f, nil
}

// Inject runs the statements.
func (f *statements) Inject(ctx context.Context, env faults.Env) error {
	env.State[stateInjected] = "true"
	return f.run(ctx, env, f.SQLSpec.Inject)
}

// Probe asks the store.
func (f *statements) Probe(ctx context.Context, env faults.Env) (faults.State, error) {
	ctx, cancel := context.WithTimeout(ctx, sqlTimeout)
	defer cancel()
	db, done, err := f.open(ctx, env, f.Store)
	if err != nil {
		return faults.State{}, err
	}
	defer done()
	rows, err := texts(ctx, db, f.Live.Query)
	if err != nil {
		return faults.State{}, fmt.Errorf("ask store %s: %w", f.Store.Service, err)
	}
	for _, row := range rows {
		if f.good.MatchString(row) {
			return faults.State{Detail: fmt.Sprintf("store %s answers %q to %q", f.Store.Service, row, f.Live.Query)}, nil
		}
	}
	return faults.State{Live: true, Detail: fmt.Sprintf("store %s answers %q to %q: no row matches %q",
		f.Store.Service, strings.Join(rows, "; "), f.Live.Query, f.Live.Without)}, nil
}

// Recover runs the recovering statements, where anything was injected. A store that was deleted has nothing left.
func (f *statements) Recover(ctx context.Context, env faults.Env) error {
	if env.State[stateInjected] == "" {
		return nil
	}
	_, err := env.Kubernetes.CoreV1().Services(f.Store.Namespace).Get(ctx, f.Store.Service, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return f.run(ctx, env, f.SQLSpec.Recover)
}

func (f *statements) run(ctx context.Context, env faults.Env, list []string) error {
	ctx, cancel := context.WithTimeout(ctx, sqlTimeout)
	defer cancel()
	db, done, err := f.open(ctx, env, f.Store)
	if err != nil {
		return err
	}
	defer done()
	for _, statement := range list {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("run %q in store %s: %w", statement, f.Store.Service, err)
		}
	}
	return nil
}

// texts returns the rows of a query, columns joined by tabs.
func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		pointers := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return nil, err
		}
		parts := make([]string, len(columns))
		for i, v := range values {
			parts[i] = v.String
		}
		out = append(out, strings.Join(parts, "\t"))
	}
	return out, rows.Err()
}

// open connects to a pod of the store through the API server's port forwarding.
func open(ctx context.Context, env faults.Env, store Store) (*sql.DB, func(), error) {
	secret, err := env.Kubernetes.CoreV1().Secrets(store.Namespace).Get(ctx, store.Secret, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("read the password of store %s: %w", store.Service, err)
	}
	password, ok := secret.Data[store.Key]
	if !ok {
		return nil, nil, fmt.Errorf("read the password of store %s: Secret %s has no key %q", store.Service, store.Secret, store.Key)
	}
	pod, err := readyPod(ctx, env, store)
	if err != nil {
		return nil, nil, err
	}
	tunnel, err := openTunnel(env, store.Namespace, pod, store.Port)
	if err != nil {
		return nil, nil, fmt.Errorf("reach store %s: %w", store.Service, err)
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = store.User, string(password), "tunnel", store.Service
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return tunnel.dial() }
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = sqlTimeout, sqlTimeout, sqlTimeout
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reach store %s: %w", store.Service, err), tunnel.close())
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, func() {
		_ = db.Close() // nothing is kept in the connection
		_ = tunnel.close()
	}, nil
}
