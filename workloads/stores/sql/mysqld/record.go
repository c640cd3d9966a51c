package mysqld

import (
	"encoding/base64"
	"fmt"
	"unicode/utf8"

	"github.com/dolthub/go-mysql-server/sql"
)

// record is one line: of a snapshot a definition or a row, of the log a transaction.
type record struct {
	// Define is a statement to run in Database.
	Define   string   `json:"define,omitempty"`
	Database string   `json:"db,omitempty"`
	Changes  []change `json:"changes,omitempty"`
}

// change is a row that was added or removed; see engine.Change. A nil value is NULL.
type change struct {
	Database string    `json:"db"`
	Table    string    `json:"t"`
	Remove   bool      `json:"d,omitempty"`
	ID       uint64    `json:"id,omitempty"`
	Auto     uint64    `json:"ai,omitempty"`
	Row      []*string `json:"r"`
}

// base64Mark begins a value that is not text; textMark begins a text that would look like one.
const (
	base64Mark = "\x00b"
	textMark   = "\x00t"
)

// encodeRow writes values as SQL shows them.
func encodeRow(ctx *sql.Context, schema sql.Schema, row sql.Row) ([]*string, error) {
	out := make([]*string, len(row))
	for i, v := range row {
		if v == nil {
			continue
		}
		value, err := schema[i].Type.SQL(ctx, nil, v)
		if err != nil {
			return nil, fmt.Errorf("encode column %s: %w", schema[i].Name, err)
		}
		text := value.ToString()
		switch {
		case !utf8.ValidString(text):
			text = base64Mark + base64.StdEncoding.EncodeToString([]byte(text))
		case text != "" && text[0] == 0:
			text = textMark + text
		}
		out[i] = &text
	}
	return out, nil
}

// decodeRow reads what encodeRow wrote, in the types of schema.
func decodeRow(ctx *sql.Context, schema sql.Schema, values []*string) (sql.Row, error) {
	if len(values) != len(schema) {
		return nil, fmt.Errorf("decode row: %d values for %d columns", len(values), len(schema))
	}
	row := make(sql.Row, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		var raw any = *v
		if len(*v) >= 2 {
			switch (*v)[:2] {
			case base64Mark:
				data, err := base64.StdEncoding.DecodeString((*v)[2:])
				if err != nil {
					return nil, fmt.Errorf("decode column %s: %w", schema[i].Name, err)
				}
				raw = data
			case textMark:
				raw = (*v)[2:]
			}
		}
		converted, _, err := schema[i].Type.Convert(ctx, raw)
		if err != nil {
			return nil, fmt.Errorf("decode column %s: %w", schema[i].Name, err)
		}
		row[i] = converted
	}
	return row, nil
}
