package yamlx_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

type port struct {
	Name   string `yaml:"name" check:"required"`
	Number int    `yaml:"number" check:"required,min=1"`
}

type meta struct {
	ID     string            `yaml:"id" check:"required"`
	Labels map[string]string `yaml:"labels"`
}

type extra struct {
	Note string `yaml:"note"`
}

type sample struct {
	extra   `yaml:",inline"`
	Meta    meta          `yaml:"meta"`
	Kind    string        `yaml:"kind" check:"oneof=easy|medium|hard"`
	Tasks   []string      `yaml:"tasks" check:"oneof=detection|mitigation"`
	Ports   []port        `yaml:"ports"`
	Ratio   float64       `yaml:"ratio"`
	On      bool          `yaml:"on"`
	Count   uint8         `yaml:"count"`
	Wait    time.Duration `yaml:"wait" check:"min=1s"`
	Free    any           `yaml:"free"`
	Raw     yaml.Node     `yaml:"raw"`
	Pointer *port         `yaml:"pointer"`
	Skip    string        `yaml:"-"`
}

func TestDecodeGood(t *testing.T) {
	t.Parallel()
	var got sample
	err := yamlx.Decode("good.yaml", []byte(`
meta: {id: x, labels: {"a.b/c": "1"}}
note: inlined
kind: easy
tasks: [detection, mitigation]
ports:
  - &http {name: http, number: 0x50}
  - *http
ratio: 2
on: true
count: 255
wait: 1m30s
free: {a: [1, "2", null]}
raw: [1]
pointer: {name: p, number: 1}
`), &got)
	require.NoError(t, err)
	require.Equal(t, "1", got.Meta.Labels["a.b/c"])
	require.Equal(t, []port{{"http", 80}, {"http", 80}}, got.Ports)
	require.Equal(t, "inlined", got.Note)
	require.Equal(t, 90*time.Second, got.Wait)
	require.Equal(t, map[string]any{"a": []any{1, "2", nil}}, got.Free)
	require.Equal(t, yaml.SequenceNode, got.Raw.Kind)
	require.InDelta(t, 2.0, got.Ratio, 0)
	require.Equal(t, &port{"p", 1}, got.Pointer)
}

func TestDecodeBad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"empty file", "", "f.yaml:1:1: the file is empty"},
		{"only a comment", "# nothing\n", "f.yaml:1:1: the file is empty"},
		{"syntax", "a: [1,\nb: }", "f.yaml:1: not YAML: did not find expected node content"},
		{"tab", "meta:\n\tid: x", "f.yaml:2: not YAML: found character that cannot start any token"},
		{"two documents", "kind: easy\n---\nkind: hard\n", "f.yaml:2:1: a second YAML document starts here; want one per file"},
		{"not an object", "- a\n", "f.yaml:1:1: want an object, got a list"},
		{"unknown field, near", "kinds: easy\n", `f.yaml:1:1: kinds: unknown field; did you mean "kind"?`},
		{
			"unknown field, far", "ports: [{name: a, number: 1, zzzz: 1}]\n",
			"f.yaml:1:30: ports[0].zzzz: unknown field (allowed: name, number)",
		},
		{"case counts", "Kind: easy\n", `f.yaml:1:1: Kind: unknown field; did you mean "kind"?`},
		{"string for int", "ports:\n  - name: a\n    number: http\n", `f.yaml:3:13: ports[0].number: want a whole number, got the string "http"`},
		{"quoted int", "count: '3'\n", `f.yaml:1:8: count: want a whole number, not negative, got the string "3"`},
		{"int overflow", "count: 256\n", "f.yaml:1:8: count: want a whole number, not negative, got the number 256"},
		{"int for string", "kind: 3\n", `f.yaml:1:7: kind: want a string, got the number 3 (write "3" in quotes)`},
		{"bool for string", "meta: {id: true}\n", `f.yaml:1:12: meta.id: want a string, got the boolean true (write "true" in quotes)`},
		{"map value", "meta: {id: x, labels: {a.b: 1}}\n", `f.yaml:1:29: meta.labels["a.b"]: want a string, got the number 1 (write "1" in quotes)`},
		{"map value missing", "meta:\n  id: x\n  labels:\n    a:\n", "f.yaml:4:5: meta.labels.a: has no value"},
		{"float", "ratio: fast\n", `f.yaml:1:8: ratio: want a number, got the string "fast"`},
		{"not a number", "ratio: .nan\n", "f.yaml:1:8: ratio: want a number, got the number .nan"},
		{"bool", "on: 'yes'\n", `f.yaml:1:5: on: want true or false, got the string "yes"`},
		{"duration unit", "wait: 30\n", "f.yaml:1:7: wait: want a duration such as 30s or 5m, got the number 30 (write 30s for seconds)"},
		{"duration text", "wait: soon\n", `f.yaml:1:7: wait: want a duration such as 30s or 5m, got the string "soon"`},
		{"duration too short", "wait: 1ms\n", "f.yaml:1:7: wait: must be at least 1s, got 1ms"},
		{"minimum", "ports: [{name: a, number: 0}]\n", "f.yaml:1:27: ports[0].number: must be at least 1, got 0"},
		{"list for object", "meta: [a]\n", "f.yaml:1:7: meta: want an object, got a list"},
		{"object for list", "ports: {a: 1}\n", "f.yaml:1:8: ports: want a list, got an object"},
		{"scalar for list", "tasks: detection\n", `f.yaml:1:8: tasks: want a list, got the string "detection"`},
		{"empty list entry", "tasks:\n  - detection\n  -\n", "f.yaml:3:4: tasks[1]: has no value"},
		{"missing", "meta:\n  labels: {}\n", "f.yaml:2:3: meta.id: required field is missing"},
		{"empty", "meta:\n  id: \"\"\n", "f.yaml:2:3: meta.id: required field is empty"},
		{"null", "meta:\n  id:\n", "f.yaml:2:3: meta.id: required field is empty"},
		{"one of", "kind: esy\n", `f.yaml:1:7: kind: unknown value "esy" (allowed: easy, medium, hard); did you mean "easy"?`},
		{"one of a list", "tasks: [detection, rca]\n", `f.yaml:1:20: tasks[1]: unknown value "rca" (allowed: detection, mitigation)`},
		{"twice", "kind: easy\non: true\nkind: hard\n", "f.yaml:3:1: kind: given twice; first on line 1"},
		{"twice in a free value", "free:\n  a: 1\n  a: 2\n", "f.yaml:3:3: free.a: given twice; first on line 2"},
		{"merge key", "meta: {<<: {id: x}, id: y}\n", "f.yaml:1:8: meta: merge keys (<<) are not supported; write the fields out"},
		{"object as key", "free: {[a]: 1}\n", "f.yaml:1:8: free: want a plain key, got a list"},
		{
			"all at once", "kind: esy\nzzzz: 1\nmeta: {}\nports:\n- number: x\n",
			`f.yaml:1:7: kind: unknown value "esy" (allowed: easy, medium, hard); did you mean "easy"?
f.yaml:2:1: zzzz: unknown field (allowed: count, free, kind, meta, note, on, pointer, ports, ratio, raw, tasks, wait)
f.yaml:3:7: meta.id: required field is missing
f.yaml:5:3: ports[0].name: required field is missing
f.yaml:5:11: ports[0].number: want a whole number, got the string "x"`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out sample
			err := yamlx.Decode("f.yaml", []byte(tc.in), &out)
			var list yamlx.ErrorList
			require.ErrorAs(t, err, &list)
			require.Equal(t, tc.want, err.Error())
		})
	}
}
