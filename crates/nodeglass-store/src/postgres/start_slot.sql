insert into slot (place, opened_at)
select min(place), $1
from generate_series(0, 7) as place
where place not in (select slot.place from slot)
