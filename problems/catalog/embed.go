// Package catalog holds the files of the problems, one directory each. It is imported by problems and problems/truth only:
// the truths are among the files.
package catalog

import (
	"embed"
	"io/fs"
)

//go:embed *
var files embed.FS

// FS returns the problem directories.
func FS() fs.FS { return files }
