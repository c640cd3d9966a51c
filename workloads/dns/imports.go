package dns

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/coredns/caddy/caddyfile"
)

// checkImports refuses to import what is not a snippet of the Corefile: CoreDNS's parser would look for a file, and where the container
// is a process, on the machine that it runs on.
func checkImports(path string, corefile []byte) error {
	tokens := caddyfile.NewDispenser(path, bytes.NewReader(corefile))
	snippets := map[string]bool{}
	for tokens.Next() {
		word := tokens.Val()
		if strings.HasPrefix(word, "(") && strings.HasSuffix(word, ")") {
			snippets[word[1:len(word)-1]] = true
		}
		if word != "import" {
			continue
		}
		line := tokens.Line()
		if !tokens.NextArg() {
			continue // The parser says what is missing.
		}
		if !snippets[tokens.Val()] {
			return fmt.Errorf("%s:%d - Error during parsing: File to import not found: %s", path, line, tokens.Val())
		}
	}
	return nil
}
