package leak

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parts are words of injection that give it away also as parts of longer ones: podChaos, chaosd, faultinjection, gamedayrun.
// No other word of English or of Kubernetes has one of them in it. "fault" is not among them, not even alone: "default" and
// "page faults" are everywhere.
func parts() []string { return []string{"chaos", "gameday", "sabotag", "benchmark", "inject"} }

// whole are words that are parts of harmless ones ("entwined", "twinkle"), and give a fault away alone only.
func whole() []string { return []string{"twin", "twins"} }

// harmless are phrases with a forbidden word that are not about faults: kubectl describes projected volumes so.
func harmless() *strings.Replacer {
	return strings.NewReplacer("a volume that contains injected data from multiple sources", "")
}

// Vocabulary is what an agent may not see.
type Vocabulary struct{ ids *regexp.Regexp }

// NewVocabulary forbids the words of injection, and ids: those of the problem and of its faults. An id is forbidden with
// hyphens and with underscores, as a metric would have it. Its words run together are not: fault "node-not-ready" would
// forbid Kubernetes' own reason NodeNotReady.
func NewVocabulary(ids ...string) Vocabulary {
	if len(ids) == 0 {
		return Vocabulary{}
	}
	var forms []string
	for _, id := range ids {
		words := strings.FieldsFunc(id, func(r rune) bool { return !inWord(r) })
		for i := range words {
			words[i] = regexp.QuoteMeta(words[i])
		}
		forms = append(forms, strings.Join(words, "[-_]"))
	}
	return Vocabulary{ids: regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(` + strings.Join(forms, "|") + `)(?:$|[^\pL\pN])`)}
}

// Find returns up to limit places of text that show something forbidden, each with some of what is around it. A name that
// is there many times is returned once.
func (v Vocabulary) Find(text string, limit int) []string {
	text = reveal(harmless().Replace(text))
	var out []string
	seen := map[string]bool{}
	add := func(start, end int) bool {
		if name := text[grow(text, start, -1):grow(text, end, 1)]; !seen[name] {
			seen[name] = true
			out = append(out, excerpt(text, start, end))
		}
		return len(out) < limit
	}
	for start, end := range runs(text) {
		if forbidden(text[start:end]) && !add(start, end) {
			return out
		}
	}
	if v.ids == nil {
		return out
	}
	for _, at := range v.ids.FindAllStringSubmatchIndex(text, -1) {
		if !add(at[2], at[3]) {
			return out
		}
	}
	return out
}

// inWord says what words are made of: all else, also an underscore, parts them.
func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// runs yields where letters and digits follow one another.
func runs(text string) func(yield func(start, end int) bool) {
	return func(yield func(start, end int) bool) {
		start := -1
		for i, r := range text {
			switch in := inWord(r); {
			case in && start < 0:
				start = i
			case !in && start >= 0:
				if !yield(start, i) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(start, len(text))
		}
	}
}

// forbidden judges one run of letters and digits.
func forbidden(run string) bool {
	lower := strings.ToLower(run)
	for _, part := range parts() {
		if strings.Contains(lower, part) {
			return true
		}
	}
	for _, word := range whole() {
		if !strings.Contains(lower, word) {
			continue
		}
		for _, in := range words(run) {
			if strings.EqualFold(in, word) {
				return true
			}
		}
	}
	return false
}

// words takes a run apart where its kind of character changes: twin2 and isTwin hold the word twin.
func words(run string) []string {
	var out []string
	start, before := 0, rune(-1)
	for i, r := range run {
		if before >= 0 && (unicode.IsDigit(r) != unicode.IsDigit(before) || unicode.IsUpper(r) && !unicode.IsUpper(before)) {
			out = append(out, run[start:i])
			start = i
		}
		before = r
	}
	return append(out, run[start:])
}

// grow moves a bound of a word to that of the name that it is in.
func grow(text string, at, by int) int {
	for {
		var r rune
		var size int
		if by < 0 {
			r, size = utf8.DecodeLastRuneInString(text[:at])
		} else {
			r, size = utf8.DecodeRuneInString(text[at:])
		}
		if size == 0 || !inWord(r) && !strings.ContainsRune("-_.", r) {
			return at
		}
		at += by * size
	}
}

// around is how many bytes an excerpt shows on each side.
const around = 40

func excerpt(text string, start, end int) string {
	out := strings.ToValidUTF8(text[max(0, start-around):min(len(text), end+around)], "")
	return strings.Join(strings.Fields(out), " ")
}
