package leak

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// base64Run finds what may be base64.
var base64Run = regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`)

// certainlyBinary is from how many characters on a mixed run that decodes is no name.
const certainlyBinary = 40

// reveal decodes base64 to the text that it holds, as an agent would do with a Secret, and takes out keys and
// certificates: among so many characters by chance, any short word is found some day.
func reveal(text string) string {
	return base64Run.ReplaceAllStringFunc(text, func(run string) string {
		if !mixed(run) {
			return run
		}
		decoded, err := base64.StdEncoding.DecodeString(run)
		switch {
		case err != nil:
			return run
		case printable(decoded):
			return reveal(string(decoded))
		case len(run) >= certainlyBinary && !path(run):
			return "(binary)"
		}
		return run
	})
}

// path says whether a run is a path of short names: by chance, base64 of this length has a long part without a slash.
func path(run string) bool {
	for part := range strings.SplitSeq(run, "/") {
		if len(part) > certainlyBinary/2 {
			return false
		}
	}
	return true
}

// mixed says whether s has small letters, capitals and digits: names and paths seldom do, base64 nearly always.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsDigit)
}

func printable(data []byte) bool {
	return utf8.Valid(data) && !strings.ContainsFunc(string(data), func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) })
}
