// Package random makes names that nobody else has, and tokens that nobody can guess.
package random

import (
	"crypto/rand"
	"encoding/hex"
)

// Hex returns so many random bytes as hexadecimal digits, two for each: 4 do for a name, a secret wants 16 or more.
func Hex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // It never fails; see crypto/rand.
	return hex.EncodeToString(b)
}
