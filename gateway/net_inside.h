/* Addresses that a gateway must not be sent to by a customer's URL. Pure. */
#ifndef HEED_NET_INSIDE_H
#define HEED_NET_INSIDE_H

#include <stdbool.h>
#include <sys/socket.h>

/* Is it an address that is not for the public network: loopback, private, link-local (with the clouds'
 * metadata), shared, multicast, documentation, reserved, and IPv6 forms that hold such an IPv4 one (mapped,
 * 6to4, NAT64)? What is no IP address is, too. */
bool net_inside(const struct sockaddr *address);

#endif
