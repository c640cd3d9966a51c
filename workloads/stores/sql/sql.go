// Package sql is the SQL store as the rest of the system sees it: its image and its clients. The server, which is heavy, is in
// package mysqld and in an executable of its own.
package sql

import "github.com/gameday-bench/gameday/workloads/program"

// Port is where the server listens, unless MYSQL_TCP_PORT says otherwise; MetricsPort is where metrics are served, unless
// METRICS_PORT does.
const (
	Port        = "3306"
	MetricsPort = "9104"
)

// Version is the version of MySQL that is announced.
const Version = "8.4.3"

// Image returns the store's image. Its other commands are mysql and mysqladmin.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/library/mysql", Tags: []string{Version}, Entrypoint: []string{"mysqld"}, Binary: "gameday-mysql",
		Ports:    []string{Port + "/tcp", MetricsPort + "/tcp"},
		Commands: map[string]program.Func{"mysql": Client, "mysqladmin": Admin},
	}
}
