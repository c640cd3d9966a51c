// Package apps holds the files of the applications, one directory each.
package apps

import (
	"embed"
	"io/fs"
)

// What an application is made of, and not its Go code.
//
//go:embed */*.yaml */manifests
var files embed.FS

// FS returns the application directories.
func FS() fs.FS { return files }
