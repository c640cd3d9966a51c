package mysqld

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkMix measures the statements of the hotel application from the client's side: as its services send them, and the long way, all of it
// through go-mysql-server. Statement by statement, and in the proportions of the application's load.
func BenchmarkMix(b *testing.B) {
	s := start(b, b.TempDir())
	fillHotel(b, s.app())
	for way, db := range map[string]*sql.DB{"short": s.plain("app", "secret", "shop"), "long": s.long("app", "secret", "shop")} {
		m := &mix{b: b, db: db, prefix: way}
		for name, statement := range map[string]func(){"box": m.box, "all": m.all, "key": m.key, "calendars": m.calendars, "booking": m.booking} {
			b.Run(way+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				m.b = b
				for b.Loop() {
					statement()
				}
			})
		}
		b.Run(way+"/mix", func(b *testing.B) {
			b.ReportAllocs()
			m.b = b
			for b.Loop() {
				m.request()
			}
		})
	}
}

const benchHotels = 80

func fillHotel(b *testing.B, app *sql.DB) {
	b.Helper()
	var points, users, nights []string
	for i := range benchHotels {
		points = append(points, fmt.Sprintf("('%d', %f, %f, 4.5, %d)", i, 37.74+float64(i)/1000, -122.46+float64(i)/1000, 9000+i))
		for night := range 62 {
			nights = append(nights, fmt.Sprintf("('%d', '%s', 300, 0)", i, benchNight(night)))
		}
	}
	for i := range 200 {
		users = append(users, fmt.Sprintf("('guest_%d', '0011223344556677', '%064d', 1000)", i, i))
	}
	exec(b, app,
		"CREATE TABLE point (hotel_id VARCHAR(16) NOT NULL PRIMARY KEY, lat DOUBLE NOT NULL, lon DOUBLE NOT NULL, rating DOUBLE NOT NULL, nightly_cents INT NOT NULL)",
		"CREATE TABLE user (username VARCHAR(64) NOT NULL PRIMARY KEY, salt CHAR(16) NOT NULL, password_hash CHAR(64) NOT NULL, iterations INT NOT NULL)",
		"CREATE TABLE room_night (hotel_id VARCHAR(16) NOT NULL, night CHAR(10) NOT NULL, capacity INT NOT NULL, booked INT NOT NULL, PRIMARY KEY (hotel_id, night))",
		"CREATE TABLE reservation (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, request_id VARCHAR(64) NOT NULL, hotel_id VARCHAR(16) NOT NULL, UNIQUE KEY request (request_id))",
		"INSERT INTO point VALUES "+strings.Join(points, ","), "INSERT INTO user VALUES "+strings.Join(users, ","), "INSERT INTO room_night VALUES "+strings.Join(nights, ","))
}

func benchNight(n int) string { return fmt.Sprintf("2030-%02d-%02d", 1+n/28, 1+n%28) }

// mix sends statements, each time with other constants.
type mix struct {
	b      *testing.B
	db     *sql.DB
	prefix string
	// n makes constants; requests counts requests.
	n, requests int
}

func (m *mix) query(query string, args ...any) {
	m.b.Helper()
	rows, err := m.db.Query(query, args...)
	require.NoError(m.b, err)
	require.NoError(m.b, drain(rows))
}

func drain(rows *sql.Rows) error {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(sql.RawBytes)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (m *mix) hotel() string {
	m.n++
	return fmt.Sprint(m.n % benchHotels)
}

// box is what geo asks.
func (m *mix) box() {
	m.n++
	lat, lon := 37.74+float64(m.n%900)/10000, -122.46+float64(m.n%1000)/10000
	m.query(fmt.Sprintf("SELECT hotel_id, lat, lon FROM point WHERE lat BETWEEN %e AND %e AND lon BETWEEN %e AND %e", lat-.09, lat+.09, lon-.11, lon+.11))
}

// all is what recommendation asks.
func (m *mix) all() {
	m.query("SELECT hotel_id, lat, lon, rating, nightly_cents FROM point ORDER BY hotel_id")
}

// key is what user asks.
func (m *mix) key() {
	m.n++
	m.query("SELECT salt, password_hash, iterations FROM user WHERE username = ?", fmt.Sprintf("guest_%d", m.n%200))
}

// calendars is what reservation asks when its cache has no calendar.
func (m *mix) calendars() {
	m.query("SELECT hotel_id, night, capacity - booked FROM room_night WHERE hotel_id IN (?, ?) ORDER BY hotel_id, night", m.hotel(), m.hotel())
}

// booking is a reservation.
func (m *mix) booking() {
	hotel := m.hotel()
	from, until := benchNight(m.n%50), benchNight(m.n%50+2)
	tx, err := m.db.Begin()
	require.NoError(m.b, err)
	rows, err := tx.Query("SELECT capacity - booked FROM room_night WHERE hotel_id = ? AND night >= ? AND night < ? FOR UPDATE", hotel, from, until)
	require.NoError(m.b, err)
	require.NoError(m.b, drain(rows))
	_, err = tx.Exec("INSERT INTO reservation (request_id, hotel_id) VALUES (?, ?)", fmt.Sprint(m.prefix, m.n), hotel)
	require.NoError(m.b, err)
	_, err = tx.Exec("UPDATE room_night SET booked = booked + ? WHERE hotel_id = ? AND night >= ? AND night < ?", 1, hotel, from, until)
	require.NoError(m.b, err)
	require.NoError(m.b, tx.Commit())
}

// request is one of 20 requests of the load: ten searches, of which some miss the cache, five recommendations, two log-ins and three reservations.
func (m *mix) request() {
	m.requests++
	switch i := m.requests % 20; {
	case i < 10:
		m.box()
		if i < 4 {
			m.calendars()
		}
	case i < 15:
		m.all()
	default:
		m.key()
		if i >= 17 {
			m.booking()
		}
	}
}
