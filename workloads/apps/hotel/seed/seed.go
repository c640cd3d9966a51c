// Package seed makes the data that the hotel application starts with: the SQL scripts that its stores run when they start
// with an empty volume. Everything is computed from constants, so two runs make the same bytes.
package seed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/workloads/apps/hotel/user"
)

// The size of the data.
const (
	Hotels = 80
	Users  = 200
	// Nights can be booked, beginning with FirstNight.
	Nights     = 62
	FirstNight = "2030-01-01"
	// Capacities go from MinRooms to MaxRooms rooms per night.
	MinRooms = 220
	MaxRooms = 420
	// Latitude and Longitude are the centre of the town; hotels lie around it.
	Latitude  = 37.7867
	Longitude = -122.4112
)

// Script is one SQL script of a store.
type Script struct {
	// Store is the service whose store it is for.
	Store string
	// Name is the file's name; scripts run in the order of their names.
	Name string
	SQL  string
}

// hotel is one generated hotel.
type hotel struct {
	id, name, street, phone string
	lat, lon                float64
	amenities               []string
	rating                  float64
	nightly, tax            int
	rooms                   int
}

// UserName and Password are the credentials of user i.
func UserName(i int) string { return fmt.Sprintf("guest_%d", i) }

// Password is the password of user i.
func Password(i int) string { return fmt.Sprintf("hotel-%d-guest", i) }

func hotels() []hotel {
	rng := rand.New(rand.NewPCG(7, 11))
	first := []string{"Clift", "Marina", "Union", "Harbor", "Golden", "Mission", "Presidio", "Sunset", "Pacific", "Castro", "Embarcadero", "Lombard"}
	second := []string{"House", "Inn", "Grand", "Suites", "Lodge", "Plaza", "Palace"}
	streets := []string{"Geary St", "Market St", "Sutter St", "Howard St", "Powell St", "Bush St", "Folsom St", "Mason St"}
	list := make([]hotel, Hotels)
	for i := range list {
		h := hotel{
			id:     fmt.Sprint(i + 1),
			name:   fmt.Sprintf("%s %s %d", first[i%len(first)], second[i%len(second)], i+1),
			street: fmt.Sprintf("%d %s", 100+rng.IntN(900), streets[rng.IntN(len(streets))]),
			phone:  fmt.Sprintf("(415) 555-%04d", i+1),
			lat:    Latitude + (rng.Float64()-0.5)*0.12,
			lon:    Longitude + (rng.Float64()-0.5)*0.12,
			// Every third hotel has no restaurant.
			amenities: []string{"wifi"},
			rating:    3 + float64(rng.IntN(21))/10,
			nightly:   9000 + 100*rng.IntN(260),
			tax:       12 + rng.IntN(4),
			rooms:     MinRooms + rng.IntN(MaxRooms-MinRooms+1),
		}
		if i%3 != 0 {
			h.amenities = append(h.amenities, "restaurant")
		}
		if rng.IntN(2) == 0 {
			h.amenities = append(h.amenities, "parking")
		}
		list[i] = h
	}
	return list
}

// insert writes one multi-row INSERT.
func insert[T any](b *strings.Builder, into string, list []T, values func(T) string) {
	fmt.Fprintf(b, "INSERT INTO %s VALUES\n", into)
	for i, v := range list {
		end := ",\n"
		if i == len(list)-1 {
			end = ";\n"
		}
		b.WriteString("  (" + values(v) + ")" + end)
	}
}

// Scripts returns every script, sorted by store.
func Scripts() ([]Script, error) {
	users, err := userScript()
	if err != nil {
		return nil, err
	}
	list := hotels()
	return []Script{
		{"geo", "10-geo.sql", geoScript(list)},
		{"profile", "10-profile.sql", profileScript(list)},
		{"rate", "10-rate.sql", rateScript(list)},
		{"recommendation", "10-recommendation.sql", recommendationScript(list)},
		{"reservation", "10-reservation.sql", reservationScript(list)},
		{"user", "10-user.sql", users},
	}, nil
}

func geoScript(list []hotel) string {
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE point (\n  hotel_id VARCHAR(16) NOT NULL PRIMARY KEY,\n  lat DOUBLE NOT NULL,\n  lon DOUBLE NOT NULL\n);\n")
	insert(b, "point (hotel_id, lat, lon)", list, func(h hotel) string { return fmt.Sprintf("'%s', %.6f, %.6f", h.id, h.lat, h.lon) })
	return b.String()
}

func profileScript(list []hotel) string {
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE profile (\n  id VARCHAR(16) NOT NULL PRIMARY KEY,\n  name VARCHAR(64) NOT NULL,\n  phone_number VARCHAR(32) NOT NULL,\n" +
		"  description VARCHAR(255) NOT NULL,\n  street VARCHAR(64) NOT NULL,\n  city VARCHAR(64) NOT NULL,\n  state VARCHAR(32) NOT NULL,\n" +
		"  country VARCHAR(64) NOT NULL,\n  postal_code VARCHAR(16) NOT NULL,\n  lat DOUBLE NOT NULL,\n  lon DOUBLE NOT NULL,\n  amenities VARCHAR(255) NOT NULL\n);\n")
	insert(b, "profile (id, name, phone_number, description, street, city, state, country, postal_code, lat, lon, amenities)", list, func(h hotel) string {
		return fmt.Sprintf("'%s', '%s', '%s', 'A %.1f star house on %s.', '%s', 'San Francisco', 'CA', 'United States', '94102', %.6f, %.6f, '%s'",
			h.id, h.name, h.phone, h.rating, h.street, h.street, h.lat, h.lon, strings.Join(h.amenities, ","))
	})
	return b.String()
}

func rateScript(list []hotel) string {
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE rate_plan (\n  hotel_id VARCHAR(16) NOT NULL,\n  code VARCHAR(8) NOT NULL,\n  room_code VARCHAR(8) NOT NULL,\n" +
		"  description VARCHAR(64) NOT NULL,\n  nightly_cents INT NOT NULL,\n  tax_percent INT NOT NULL,\n  PRIMARY KEY (hotel_id, code)\n);\n")
	type plan struct {
		h           hotel
		code, room  string
		description string
		nightly     int
	}
	var plans []plan
	for i, h := range list {
		plans = append(plans, plan{h, "RACK", "KNG", "King sized bed", h.nightly})
		// Most hotels also have a cheaper plan.
		switch i % 4 {
		case 0:
			plans = append(plans, plan{h, "CORP", "QN", "Queen sized bed", h.nightly * 88 / 100})
		case 1, 2:
			plans = append(plans, plan{h, "FLEX", "DBL", "Two double beds", h.nightly * 93 / 100})
		}
	}
	insert(b, "rate_plan (hotel_id, code, room_code, description, nightly_cents, tax_percent)", plans, func(p plan) string {
		return fmt.Sprintf("'%s', '%s', '%s', '%s', %d, %d", p.h.id, p.code, p.room, p.description, p.nightly, p.h.tax)
	})
	b.WriteString("CREATE TABLE season (\n  night CHAR(10) NOT NULL PRIMARY KEY,\n  factor_percent INT NOT NULL\n);\n")
	insert(b, "season (night, factor_percent)", nights(), func(night time.Time) string {
		factor := 100
		if d := night.Weekday(); d == time.Friday || d == time.Saturday {
			factor = 120
		}
		if night.Month() == time.February {
			factor += 10
		}
		return fmt.Sprintf("'%s', %d", night.Format(time.DateOnly), factor)
	})
	return b.String()
}

func recommendationScript(list []hotel) string {
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE hotel (\n  id VARCHAR(16) NOT NULL PRIMARY KEY,\n  lat DOUBLE NOT NULL,\n  lon DOUBLE NOT NULL,\n" +
		"  rating DOUBLE NOT NULL,\n  nightly_cents INT NOT NULL\n);\n")
	insert(b, "hotel (id, lat, lon, rating, nightly_cents)", list, func(h hotel) string {
		return fmt.Sprintf("'%s', %.6f, %.6f, %.1f, %d", h.id, h.lat, h.lon, h.rating, h.nightly)
	})
	return b.String()
}

func reservationScript(list []hotel) string {
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE hotel (\n  id VARCHAR(16) NOT NULL PRIMARY KEY,\n  rooms INT NOT NULL\n);\n")
	insert(b, "hotel (id, rooms)", list, func(h hotel) string { return fmt.Sprintf("'%s', %d", h.id, h.rooms) })
	b.WriteString("CREATE TABLE calendar (\n  night CHAR(10) NOT NULL PRIMARY KEY\n);\n")
	insert(b, "calendar (night)", nights(), func(night time.Time) string { return "'" + night.Format(time.DateOnly) + "'" })
	b.WriteString("CREATE TABLE room_night (\n  hotel_id VARCHAR(16) NOT NULL,\n  night CHAR(10) NOT NULL,\n  capacity INT NOT NULL,\n" +
		"  booked INT NOT NULL,\n  PRIMARY KEY (hotel_id, night)\n);\n" +
		"INSERT INTO room_night (hotel_id, night, capacity, booked)\n  SELECT hotel.id, calendar.night, hotel.rooms, 0 FROM hotel CROSS JOIN calendar;\n" +
		"CREATE TABLE reservation (\n  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,\n  request_id VARCHAR(64) NOT NULL,\n" +
		"  customer_name VARCHAR(64) NOT NULL,\n  hotel_id VARCHAR(16) NOT NULL,\n  in_date CHAR(10) NOT NULL,\n  out_date CHAR(10) NOT NULL,\n" +
		"  rooms INT NOT NULL,\n  UNIQUE KEY request (request_id)\n);\n")
	return b.String()
}

func userScript() (string, error) {
	type account struct{ name, salt, hash string }
	accounts := make([]account, Users)
	for i := range accounts {
		name := UserName(i)
		digest := sha256.Sum256([]byte("salt of " + name))
		salt := digest[:8]
		hash, err := user.Hash(Password(i), salt, user.Iterations)
		if err != nil {
			return "", err
		}
		accounts[i] = account{name, hex.EncodeToString(salt), hash}
	}
	b := &strings.Builder{}
	b.WriteString("CREATE TABLE user (\n  username VARCHAR(64) NOT NULL PRIMARY KEY,\n  salt CHAR(16) NOT NULL,\n  password_hash CHAR(64) NOT NULL,\n  iterations INT NOT NULL\n);\n")
	insert(b, "user (username, salt, password_hash, iterations)", accounts, func(a account) string {
		return fmt.Sprintf("'%s', '%s', '%s', %d", a.name, a.salt, a.hash, user.Iterations)
	})
	return b.String(), nil
}

func nights() []time.Time {
	// The constant is a date.
	first, _ := time.Parse(time.DateOnly, FirstNight)
	list := make([]time.Time, Nights)
	for i := range list {
		list[i] = first.AddDate(0, 0, i)
	}
	return list
}
