"""A file that takes many calls: what is wrong is named by its line, wherever it stands; a kill leaves whole customers; the same
file again changes nothing."""
import subprocess

import pytest
from harness import HEED, store_held, wait_for

COUNT = 6000
BAD = {7: "nonsense", 1234: "a b@example.com", 1235: "", 4500: "x@", COUNT: "@"}


@pytest.fixture(params=["alone", "beside a gateway"])
def company(request, make_gateway):
    gateway = make_gateway({"email": {"adapter": "capture"}})
    return gateway if request.param == "alone" else gateway.start()


def write(path, count, bad=()):
    with open(path, "w", encoding="utf-8") as out:
        out.write("id,name,email,prefer:card-alerts\n")
        for i in range(1, count + 1):
            email = bad[i] if i in bad else f"c{i}@example.com"
            out.write(f"c-{i},Customer {i},{email},{'email' if i % 5 == 0 else ''}\n")
    return path


def counts(gateway):
    return tuple(gateway.rows(f"SELECT count(*) FROM {table}")[0][0]
                 for table in ("customer", "customer_address", "preference", "change_log WHERE kind IN (0, 1)"))


def test_each_mistake_is_named_by_its_line_and_the_rest_is_there(company):
    file = write(company.folder / "customers.csv", COUNT, BAD)
    wrong = [i for i in BAD if BAD[i]]
    for _ in range(2):
        done = company.cli("customer", "import", file)
        assert done.returncode == 1
        told = [line.split(":")[2:4] for line in done.stderr.splitlines()]
        assert told == [[str(i + 1), f" c-{i}"] for i in wrong]
        assert done.stdout == f"{COUNT - len(wrong)} imported, {len(wrong)} failed, 0 choices of customers kept\n"
        chose = sum(i % 5 == 0 for i in range(1, COUNT + 1) if i not in wrong)
        there = COUNT - len(wrong)
        assert counts(company) == (there, there - 1, chose, there + chose)


def test_a_file_that_breaks_off_says_from_where_on_nothing_was_imported(company):
    file = write(company.folder / "customers.csv", 2500)
    with open(file, "a", encoding="utf-8") as out:
        out.write('c-x,"never closed')
    done = company.cli("customer", "import", file)
    assert done.returncode == 1 and "what follows line 2502 was not imported" in done.stderr
    assert counts(company)[0] == 2500


def test_a_kill_in_the_middle_leaves_whole_customers(make_gateway):
    gateway = make_gateway({"email": {"adapter": "capture"}})
    gateway.cli_ok("customer", "import", write(gateway.folder / "one.csv", 1))
    file = write(gateway.folder / "customers.csv", 60000)
    with subprocess.Popen([HEED, "--config", gateway.config_file, "customer", "import", file], stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: counts(gateway)[0] > 2000, what="the first of them", pause=0.001)
        process.kill()
    with store_held(gateway.store):
        customers, addresses, chosen, logged = counts(gateway)
        last = gateway.rows("SELECT max(CAST(substr(id, 3) AS integer)) FROM customer")[0][0]
    assert customers == addresses == last and chosen == customers // 5 and logged == customers + chosen
    gateway.cli_ok("customer", "import", file)
    assert counts(gateway) == (60000, 60000, 12000, 72000)
    gateway.cli_ok("audit")
