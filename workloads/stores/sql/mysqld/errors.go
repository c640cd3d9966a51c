package mysqld

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/dolthub/go-mysql-server/server"
	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
)

// The numbers of MySQL's errors that go-mysql-server does not give, and the SQLSTATEs of the common ones.
const (
	erDatabaseDenied = 1044
	erTableDenied    = 1142
	erParse          = 1064
)

func sqlState(number int) string {
	switch number {
	case mysql.ERAccessDeniedError:
		return "28000"
	case mysql.ERNoSuchTable:
		return "42S02"
	case mysql.ERBadFieldError:
		return "42S22"
	case mysql.ERDupEntry, mysql.ERBadNullError:
		return "23000"
	case erDatabaseDenied, erTableDenied, erParse, mysql.ERBadDb:
		return "42000"
	}
	return ""
}

// translate gives an error the number and the SQLSTATE that MySQL gives it.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var e *mysql.SQLError
	if !errors.As(err, &e) {
		e = gmssql.CastSQLError(err)
	}
	c := *e
	switch {
	case c.Num != mysql.ERUnknownError:
	case strings.HasPrefix(c.Message, "command denied to user"), strings.Contains(c.Message, "to table '"):
		c.Num = erTableDenied
	case strings.HasPrefix(c.Message, "Access denied for user"):
		c.Num = erDatabaseDenied
	case strings.HasPrefix(c.Message, "syntax error"):
		c.Num = erParse
	case strings.HasPrefix(c.Message, "column \""):
		c.Num = mysql.ERBadFieldError
	}
	if state := sqlState(c.Num); state != "" {
		c.State = state
	}
	return &c
}

// strictAuth also handles users that do not exist, and denies them like a wrong password: who knocks does not learn which
// of the two it was.
type strictAuth struct{ mysql.AuthServer }

// AuthMethods implements mysql.AuthServer.
func (a strictAuth) AuthMethods() []mysql.AuthMethod {
	return append(a.AuthServer.AuthMethods(), mysql.NewMysqlNativeAuthMethod(nobody{}, nobody{}))
}

type nobody struct{}

// HandleUser implements mysql.UserValidator.
func (nobody) HandleUser(string, net.Addr) bool { return true }

// UserEntryWithHash implements mysql.HashStorage.
func (nobody) UserEntryWithHash(_ []*x509.Certificate, _ []byte, user string, _ []byte, address net.Addr) (mysql.Getter, error) {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		host = address.String()
	}
	return nil, mysql.NewSQLError(mysql.ERAccessDeniedError, mysql.SSAccessDeniedError, "Access denied for user '%s'@'%s' (using password: YES)", user, host)
}

// strictListener is the server's listener with strictAuth.
func strictListener(cfg server.Config, listener mysql.ListenerConfig, events server.ServerEventListener) (server.ProtocolListener, error) {
	listener.AuthServer = strictAuth{listener.AuthServer}
	return server.MySQLProtocolListenerFactory(cfg, listener, events)
}
