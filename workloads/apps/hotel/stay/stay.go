// Package stay holds the dates of a stay and the places of hotels.
package stay

import (
	"math"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// MaxNights is the longest stay that can be booked.
const MaxNights = 30

// Stay is a validated pair of dates. The last night is the one before Out.
type Stay struct{ In, Out time.Time }

// Parse reads two dates of the form YYYY-MM-DD. Its error is an INVALID_ARGUMENT status that says what is wrong.
func Parse(in, out string) (Stay, error) {
	from, err := time.Parse(time.DateOnly, in)
	if err != nil {
		return Stay{}, status.Errorf(codes.InvalidArgument, "in date %q is not a date", in)
	}
	to, err := time.Parse(time.DateOnly, out)
	if err != nil {
		return Stay{}, status.Errorf(codes.InvalidArgument, "out date %q is not a date", out)
	}
	s := Stay{from, to}
	if n := s.Nights(); n < 1 || n > MaxNights {
		return Stay{}, status.Errorf(codes.InvalidArgument, "a stay has 1 to %d nights, not %d", MaxNights, n)
	}
	return s, nil
}

// Nights is the number of nights.
func (s Stay) Nights() int { return int(s.Out.Sub(s.In) / (24 * time.Hour)) }

// Night returns the date of night i, counted from 0.
func (s Stay) Night(i int) time.Time { return s.In.AddDate(0, 0, i) }

// From returns the first date as text.
func (s Stay) From() string { return s.In.Format(time.DateOnly) }

// Until returns the last date as text.
func (s Stay) Until() string { return s.Out.Format(time.DateOnly) }

// earthRadius is the mean radius of the Earth in kilometres.
const earthRadius = 6371.0

// KilometresPerDegree is the length of a degree of latitude.
const KilometresPerDegree = earthRadius * math.Pi / 180

// Distance is the great-circle distance between two places in kilometres (haversine).
func Distance(lat1, lon1, lat2, lon2 float64) float64 {
	const rad = math.Pi / 180
	dLat, dLon := (lat2-lat1)*rad, (lon2-lon1)*rad
	a := math.Pow(math.Sin(dLat/2), 2) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(a)))
}

// CheckPlace returns an INVALID_ARGUMENT status when a place is not on Earth.
func CheckPlace(lat, lon float64) error {
	if math.IsNaN(lat) || math.IsNaN(lon) || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
		return status.Errorf(codes.InvalidArgument, "no such place: latitude %v, longitude %v", lat, lon)
	}
	return nil
}
