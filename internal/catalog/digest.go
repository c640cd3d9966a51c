package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
)

// Digest is "sha256:" and the hash over the regular files below dir whose path keep wants: path, size and content of each,
// in path order. A nil keep wants all.
func Digest(dir fs.FS, keep func(name string) bool) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || keep != nil && !keep(name) {
			return err
		}
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s\x00%d\x00%s", name, len(data), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash files: %w", err)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}
