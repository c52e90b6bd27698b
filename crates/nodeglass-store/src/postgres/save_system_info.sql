update agent set system_info = $2::text::jsonb where key = $1
