// Package catalog holds the files of the declarative faults, one directory each.
package catalog

import (
	"embed"
	"io/fs"
)

//go:embed *
var files embed.FS

// FS returns the fault directories.
func FS() fs.FS { return files }
