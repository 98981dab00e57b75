#include "net_inside.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "banned.h"

/* IPv4 special-purpose addresses (RFC 6890 and its registry), multicast and reserved; host order. */
static bool inside4(uint32_t ip)
{
	static const struct {
		uint32_t net, mask;
	} nets[] = {
		{0x00000000, 0xff000000}, /* 0.0.0.0/8: this host */
		{0x0a000000, 0xff000000}, /* 10.0.0.0/8 */
		{0x64400000, 0xffc00000}, /* 100.64.0.0/10: shared */
		{0x7f000000, 0xff000000}, /* 127.0.0.0/8 */
		{0xa9fe0000, 0xffff0000}, /* 169.254.0.0/16: link-local, metadata */
		{0xac100000, 0xfff00000}, /* 172.16.0.0/12 */
		{0xc0000000, 0xffffff00}, /* 192.0.0.0/24 */
		{0xc0000200, 0xffffff00}, /* 192.0.2.0/24: documentation */
		{0xc0586300, 0xffffff00}, /* 192.88.99.0/24: 6to4 relays */
		{0xc0a80000, 0xffff0000}, /* 192.168.0.0/16 */
		{0xc6120000, 0xfffe0000}, /* 198.18.0.0/15: benchmarks */
		{0xc6336400, 0xffffff00}, /* 198.51.100.0/24: documentation */
		{0xcb007100, 0xffffff00}, /* 203.0.113.0/24: documentation */
		{0xe0000000, 0xe0000000}, /* 224.0.0.0/3: multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
		if ((ip & nets[i].mask) == nets[i].net)
			return true;
	return false;
}

static uint32_t four(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool inside6(const unsigned char a[16])
{
	static const unsigned char zeros[16], nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(a, nat64, 12) == 0) /* 64:ff9b::/96 */
		return inside4(four(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 2002::/16: 6to4 */
		return inside4(four(a + 2));
	/* ::ffff:0:0/96 (mapped) holds an IPv4 address; what else begins with zeros is not for the network:
	 * ::, ::1, ::/96 (compatible), ::ffff:0:0:0/96 (translated) */
	if (memcmp(a, zeros, 10) == 0 && a[10] == 0xff && a[11] == 0xff)
		return inside4(four(a + 12));
	if ((a[0] & 0xe0) !=
	    0x20) /* all but 2000::/3, what is given out: fc00::/7, fe80::/10, fec0::/10, … */
		return true;
	bool documentation = four(a) == 0x20010db8 || (a[0] == 0x3f && a[1] == 0xff && a[2] < 0x10);
	bool special =
		a[0] == 0x20 && a[1] == 0x01 && a[2] < 0x02; /* 2001::/23: Teredo, ORCHID, benchmarks */
	return documentation || special;
}

bool net_inside(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (address->sa_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof v4);
		return inside4(ntohl(v4.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&v6, address, sizeof v6);
		return inside6(v6.sin6_addr.s6_addr);
	default:
		return true;
	}
}
