// Package hotelpb holds the generated interfaces between the services of the hotel application (hotel.proto).
package hotelpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative hotel.proto
