package appfault

import (
	"context"
	"database/sql"
	"net"
	"testing"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
)

// startStore starts a SQL server with a database geo and its user, and returns how to connect as a user.
func startStore(t *testing.T) func(user string) *sql.DB {
	t.Helper()
	provider := memory.NewDBProvider(memory.NewDatabase("geo"))
	engine := sqle.NewDefault(provider)
	users := engine.Analyzer.Catalog.MySQLDb
	editor := users.Editor()
	users.SetPersister(&mysql_db.NoopPersister{})
	users.AddSuperUser(editor, "root", "%", "secret")
	editor.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := server.NewServer(server.Config{Protocol: "tcp", Address: listener.Addr().String(), Listener: listener}, engine, gms.NewContext, memory.NewSessionBuilder(provider), nil)
	require.NoError(t, err)
	go func() { _ = s.Start() }()
	t.Cleanup(func() { _ = s.Close() })
	connect := func(user string) *sql.DB {
		db, err := sql.Open("mysql", user+":secret@tcp("+listener.Addr().String()+")/")
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	for _, statement := range []string{
		"CREATE TABLE geo.point (id INT PRIMARY KEY)", "CREATE USER 'geo'@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON `geo`.* TO 'geo'@'%'",
	} {
		_, err := connect("root").ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	return connect
}

func revoke(t *testing.T, connect func(string) *sql.DB) *statements {
	t.Helper()
	catalog, err := faults.LoadCatalog(faults.Embedded())
	require.NoError(t, err)
	entry, err := catalog.Get("db-grant-revoked")
	require.NoError(t, err)
	f, err := entry.New(map[string]string{"namespace": "hotel", "store": "mysql-geo", "database": "geo", "user": "geo"})
	require.NoError(t, err)
	s := f.(*statements)
	s.open = func(_ context.Context, _ faults.Env, store Store) (*sql.DB, func(), error) {
		return connect(store.User), func() {}, nil
	}
	return s
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	connect := startStore(t)
	kube := kubefake.NewClientset(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "mysql-geo"}})
	env := faultstest.Env(kube, nil, "hotel", "chaos-mesh")
	faultstest.Run(t, func() faults.Fault { return revoke(t, connect) }, env)

	query := func() error {
		var n int
		return connect("geo").QueryRowContext(t.Context(), "SELECT COUNT(*) FROM geo.point").Scan(&n)
	}
	f := revoke(t, connect)
	require.NoError(t, query())
	require.NoError(t, f.Inject(t.Context(), env))
	require.ErrorContains(t, query(), "command denied")
	for _, repair := range []struct {
		statement string
		repairs   bool
	}{
		{"GRANT INSERT ON `geo`.* TO 'geo'@'%'", false},
		{"GRANT SELECT ON `geo`.* TO 'geo'@'%'", true},
	} {
		_, err := connect("root").ExecContext(t.Context(), repair.statement)
		require.NoError(t, err)
		state, err := f.Probe(t.Context(), env)
		require.NoError(t, err)
		require.Equal(t, repair.repairs, !state.Live, "%s: %s", repair.statement, state.Detail)
	}
	require.NoError(t, f.Recover(t.Context(), env))
	require.NoError(t, query())
	require.NoError(t, kube.CoreV1().Services("hotel").Delete(t.Context(), "mysql-geo", metav1.DeleteOptions{}))
	require.NoError(t, f.Recover(t.Context(), env), "a store that is gone has nothing left")
}

func TestGoodGrants(t *testing.T) {
	t.Parallel()
	f := revoke(t, nil)
	for row, good := range map[string]bool{
		"GRANT ALL PRIVILEGES ON `geo`.* TO `geo`@`%`":       true,
		"GRANT SELECT ON `geo`.* TO `geo`@`%`":               true,
		"GRANT INSERT, SELECT, DROP ON `geo`.* TO `geo`@`%`": true,
		"GRANT CREATE VIEW, SELECT ON *.* TO `geo`@`%`":      true,
		"GRANT SELECT ON `rate`.* TO `geo`@`%`":              false,
		"GRANT INSERT, DROP ON `geo`.* TO `geo`@`%`":         false,
		"GRANT USAGE ON *.* TO `geo`@`%`":                    false,
	} {
		require.Equal(t, good, f.good.MatchString(row), row)
	}
}
