package leak_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/leak"
)

func TestFind(t *testing.T) {
	t.Parallel()
	words := leak.NewVocabulary("hotel-wrong-target-port", "node-not-ready")
	in64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	cases := map[string]struct {
		text  string
		leaks bool
	}{
		"word":                       {"the chaos of it", true},
		"before underscore":          {"chaos_mesh_experiments", true},
		"after underscore":           {"my_chaos 1", true},
		"part of a word":             {"chaosmesh.org", true},
		"part of a kind":             {"kind: NetworkChaos", true},
		"variable":                   {"GAMEDAY_BIN_DIR=/x", true},
		"label":                      {`{"gameday_dev_id":"1"}`, true},
		"value":                      {`{"job":"x-gameday-x"}`, true},
		"injected":                   {"fault_injected 1", true},
		"faultinjection":             {"msg=faultinjection", true},
		"injector":                   {"packet-injector-1", true},
		"benchmarking":               {"Benchmarking run", true},
		"sabotaged":                  {"was sabotaged", true},
		"twin":                       {"trial_twin=true", true},
		"twin in a camel's name":     {"isTwin: true", true},
		"twin with a number":         {"twin2", true},
		"twins":                      {"TWINS", true},
		"twin as a part":             {"entwined twinkle outwinter", false},
		"between":                    {"between default page faults", false},
		"projected volume":           {"Type: Projected (a volume that contains injected data from multiple sources)", false},
		"id":                         {"app=hotel-wrong-target-port", true},
		"id in a longer name":        {"x-hotel-wrong-target-port-1", true},
		"id as a metric":             {"x_Hotel_Wrong_Target_Port_total", true},
		"id's words in prose":        {"the hotel's wrong target port", false},
		"id cut short":               {"hotel-wrong-target-ports", false},
		"reason of Kubernetes":       {"reason: NodeNotReady", false},
		"Secret":                     {"key: " + in64("url=chaos-daemon.local:31767"), true},
		"Secret in a Secret":         {"key: " + in64("data: "+in64("who=Gameday harness 1.0")), true},
		"Secret that is harmless":    {"key: " + in64("password=Correct1 horse"), false},
		"key with a word by chance":  {"key: " + strings.Repeat("AQz9", 8) + "chaos" + "inject" + "7" + strings.Repeat("AQz9", 8), false},
		"small letters are no key":   {"/api/v1/" + strings.Repeat("chaos/", 8), true},
		"letters that are not ASCII": {"épreuve chaosé", true},
		"nothing":                    {"", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.leaks, len(words.Find(c.text, 3)) > 0, "found %q", words.Find(c.text, 3))
		})
	}
}

func TestFindTellsEachNameOnce(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("series{job=\"chaos-a\"} 1\n", 5) + "job=chaos-b job=chaos-c job=chaos-d"
	found := leak.NewVocabulary().Find(text, 3)
	require.Len(t, found, 3)
	require.Contains(t, found[0], "chaos-a")
	require.Contains(t, found[1], "chaos-b")
	require.Contains(t, found[2], "chaos-c")
}

func TestFindShowsWhatIsAround(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é", 100) + " before chaos after " + strings.Repeat("é", 100)
	require.Regexp(t, "^é+ before chaos after é+$", leak.NewVocabulary().Find(text, 1)[0])
}
