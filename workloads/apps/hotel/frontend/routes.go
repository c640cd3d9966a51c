package frontend

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
)

// hotel is one hotel in an answer.
type hotel struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Phone      string   `json:"phoneNumber"`
	Address    string   `json:"address"`
	Lat        float64  `json:"lat"`
	Lon        float64  `json:"lon"`
	Amenities  []string `json:"amenities"`
	TotalCents int64    `json:"totalCents,omitempty"`
	Currency   string   `json:"currency,omitempty"`
}

// hotelList is the answer of /hotels and /recommendations.
type hotelList struct {
	Hotels []hotel `json:"hotels"`
}

// place reads lat and lon.
func place(r *http.Request) (lat, lon float64, err error) {
	if lat, err = strconv.ParseFloat(r.Form.Get("lat"), 64); err == nil {
		lon, err = strconv.ParseFloat(r.Form.Get("lon"), 64)
	}
	if err != nil {
		return 0, 0, status.Error(codes.InvalidArgument, "lat and lon: want two numbers")
	}
	return lat, lon, nil
}

// rooms reads the number of rooms; without one it is 1.
func rooms(r *http.Request) (int32, error) {
	text := r.Form.Get("rooms")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, status.Errorf(codes.InvalidArgument, "rooms: %q is not a number", text)
	}
	return int32(n), nil
}

// hotels answers GET /hotels?inDate=&outDate=&lat=&lon=[&rooms=]: near hotels with a price and free rooms.
func (f *frontend) hotels(r *http.Request) (any, error) {
	ctx, in, out := r.Context(), r.Form.Get("inDate"), r.Form.Get("outDate")
	lat, lon, err := place(r)
	if err != nil {
		return nil, err
	}
	n, err := rooms(r)
	if err != nil {
		return nil, err
	}
	found, err := f.search.Nearby(ctx, &hotelpb.SearchRequest{Lat: lat, Lon: lon, InDate: in, OutDate: out})
	if err != nil {
		return nil, service.Upstream("search", err)
	}
	offers := map[string]*hotelpb.Offer{}
	ids := make([]string, 0, len(found.Offers))
	for _, offer := range found.Offers {
		offers[offer.HotelId] = offer
		ids = append(ids, offer.HotelId)
	}
	free, err := f.reservation.CheckAvailability(ctx, &hotelpb.CheckAvailabilityRequest{HotelIds: ids, InDate: in, OutDate: out, Rooms: n})
	if err != nil {
		return nil, service.Upstream("reservation", err)
	}
	list, err := f.profiles(ctx, free.HotelIds)
	if err != nil {
		return nil, err
	}
	for i := range list.Hotels {
		offer := offers[list.Hotels[i].ID]
		list.Hotels[i].TotalCents, list.Hotels[i].Currency = offer.GetTotalInclusiveCents(), offer.GetCurrency()
	}
	return list, nil
}

func (f *frontend) profiles(ctx context.Context, ids []string) (*hotelList, error) {
	list := &hotelList{Hotels: make([]hotel, 0, len(ids))}
	profiles, err := f.profile.GetProfiles(ctx, &hotelpb.GetProfilesRequest{HotelIds: ids, Locale: "en"})
	if err != nil {
		return nil, service.Upstream("profile", err)
	}
	for _, p := range profiles.Hotels {
		a := p.GetAddress()
		list.Hotels = append(list.Hotels, hotel{
			ID: p.Id, Name: p.Name, Phone: p.PhoneNumber, Amenities: p.Amenities,
			Address: a.GetStreet() + ", " + a.GetCity() + ", " + a.GetState() + " " + a.GetPostalCode(), Lat: a.GetLat(), Lon: a.GetLon(),
		})
	}
	return list, nil
}

// recommendations answers GET /recommendations?require=dis|rate|price&lat=&lon=.
func (f *frontend) recommendations(r *http.Request) (any, error) {
	lat, lon, err := place(r)
	if err != nil {
		return nil, err
	}
	best, err := f.recommendation.GetRecommendations(r.Context(), &hotelpb.GetRecommendationsRequest{Require: r.Form.Get("require"), Lat: lat, Lon: lon})
	if err != nil {
		return nil, service.Upstream("recommendation", err)
	}
	return f.profiles(r.Context(), best.HotelIds)
}

func (f *frontend) check(r *http.Request) error {
	answer, err := f.user.CheckUser(r.Context(), &hotelpb.CheckUserRequest{Username: r.Form.Get("username"), Password: r.Form.Get("password")})
	switch {
	case err != nil:
		return service.Upstream("user", err)
	case !answer.Correct:
		return status.Error(codes.Unauthenticated, "wrong username or password")
	}
	return nil
}

// login answers POST /user with username and password.
func (f *frontend) login(r *http.Request) (any, error) {
	if err := f.check(r); err != nil {
		return nil, err
	}
	return map[string]string{"message": "login successful"}, nil
}

// reserve answers POST /reservation with inDate, outDate, hotelId, customerName, username, password and rooms. The header
// Idempotency-Key makes it safe to send again.
func (f *frontend) reserve(r *http.Request) (any, error) {
	n, err := rooms(r)
	if err != nil {
		return nil, err
	}
	if err := f.check(r); err != nil {
		return nil, err
	}
	request := r.Header.Get("Idempotency-Key")
	if request == "" {
		request = rand.Text()
	}
	booked, err := f.reservation.MakeReservation(r.Context(), &hotelpb.MakeReservationRequest{
		RequestId: request, CustomerName: r.Form.Get("customerName"), HotelId: r.Form.Get("hotelId"),
		InDate: r.Form.Get("inDate"), OutDate: r.Form.Get("outDate"), Rooms: n,
	})
	if err != nil {
		return nil, service.Upstream("reservation", err)
	}
	return map[string]any{"message": "reserved", "reservationId": booked.ReservationId}, nil
}
