package results

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/random"
)

// twinSuffix marks the directory of a twin. No problem id holds a dot.
const twinSuffix = ".twin"

// Key names a trial within a run.
type Key struct {
	Problem string `json:"problem"`
	Agent   string `json:"agent"`
	// Attempt starts at 1.
	Attempt int `json:"attempt"`
	// Twin is true for the problem without its fault.
	Twin bool `json:"twin"`
}

// String is <problem>[.twin]/<agent>/<attempt>: the trial's id and its directory below trials/.
func (k Key) String() string {
	problem := k.Problem
	if k.Twin {
		problem += twinSuffix
	}
	return path.Join(problem, k.Agent, strconv.Itoa(k.Attempt))
}

// ParseKey is the reverse of String.
func ParseKey(text string) (Key, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return Key{}, fmt.Errorf("parse trial %q: want PROBLEM/AGENT/ATTEMPT", text)
	}
	attempt, err := strconv.Atoi(parts[2])
	if err != nil || attempt < 1 {
		return Key{}, fmt.Errorf("parse trial %q: the attempt must be 1 or more", text)
	}
	problem, twin := strings.CutSuffix(parts[0], twinSuffix)
	return Key{problem, parts[1], attempt, twin}, nil
}

// Compare orders keys by problem, twin, agent and attempt.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(k.Problem, other.Problem), cmp.Compare(bit(k.Twin), bit(other.Twin)),
		strings.Compare(k.Agent, other.Agent), cmp.Compare(k.Attempt, other.Attempt))
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// dir is the key's directory for one try: the key, with .rN from the first retry on.
func (k Key) dir(retry int) string {
	if retry == 0 {
		return k.String()
	}
	return fmt.Sprintf("%s.r%d", k, retry)
}

// Identity is a digest of everything that makes two trials the same trial: the problem's and the agent's digests, the
// cluster, the seed, the attempt and whether it is the twin. A resumed run runs only identities without a terminal record.
func Identity(problemDigest, agentDigest, cluster string, seed int64, attempt int, twin bool) string {
	text := strings.Join([]string{
		problemDigest, agentDigest, cluster, strconv.FormatInt(seed, 10), strconv.Itoa(attempt), strconv.FormatBool(twin),
	}, "\x00")
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// NewRunID returns <utc>-<scenario>-<6hex>, for example 20260102T030405Z-smoke-1a2b3c.
func NewRunID(now time.Time, scenario string) string {
	return fmt.Sprintf("%s-%s-%s", now.UTC().Format("20060102T150405Z"), scenario, random.Hex(3))
}

// DigestBytes is "sha256:" and the hash of data.
func DigestBytes(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
